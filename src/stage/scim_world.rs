//! What all scenarios share about the application's SCIM service provider: its description, the suite's token, what was made there.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use super::http::Ask;
use super::recorder::Recorder;
use super::scim_book::Book;
use super::scim_shared::Shared;
use super::scim_token::AuthorizationServer;
use super::secrets::Secrets;
use super::{Stage, World};
use crate::counterpart::scim_client::{Answer, Bearer, Call, Person, Shape};
use crate::error::Error;
use crate::model::target::{Scim, ScimAuth, Target};
use crate::suite::Obstacle;

/// How often a request is repeated that met the service provider's limit.
const REPEATS: u32 = 4;
/// A longer Retry-After is not waited for, in seconds.
const LONGEST_RETRY_S: u64 = 65;

/// The service provider under test.
pub struct ScimWorld {
    /// As the target file describes it.
    pub scim: Scim,
    token: Option<String>,
    second_token: Option<String>,
    run_id: String,
    /// Access tokens of token requests, of the first and the second tenant.
    pub granted: [tokio::sync::Mutex<Option<Granted>>; 2],
    /// The application's authorization server, once it was looked for.
    pub server: OnceCell<AuthorizationServer>,
    pub(super) book: Book,
    sentinel: OnceCell<Result<Answer, Obstacle>>,
    documents: OnceCell<Documents>,
    /// What scenarios share besides.
    pub shared: Shared,
    limit: Mutex<Limit>,
}

/// The service provider's limit of requests, as far as the run met it.
#[derive(Clone, Copy, Debug, Default)]
struct Limit {
    /// No request goes before.
    until: Option<Instant>,
    /// It did not lift although it was waited for as asked: further requests are not repeated.
    stays: bool,
}

impl Limit {
    /// Is the request of this answer to be repeated, once the wait that it asks for is over?
    fn lifts(&mut self, answer: &Answer, repeats: u32) -> bool {
        if answer.status != 429 {
            return false;
        }
        let pause = answer.retry_after().unwrap_or(1).unsigned_abs().max(1);
        self.stays |= repeats >= REPEATS || pause > LONGEST_RETRY_S;
        self.until = self.until.max(Some(Instant::now() + Duration::from_secs(pause))).filter(|_| !self.stays);
        !self.stays
    }
}

/// An access token and when it ends.
#[derive(Clone, Debug)]
pub struct Granted {
    /// The token.
    pub token: String,
    /// Its end.
    pub until: std::time::Instant,
}

/// The three discovery documents, fetched once.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// `/ServiceProviderConfig`.
    pub config: Answer,
    /// `/ResourceTypes`.
    pub types: Answer,
    /// `/Schemas`.
    pub schemas: Answer,
}

impl ScimWorld {
    /// Of a target file; none where it has no `[scim]` with a base URL.
    ///
    /// # Errors
    /// A secret cannot be read.
    pub fn prepare(target: &Target, secrets: &Secrets, recorder: &Recorder) -> Result<Option<ScimWorld>, Error> {
        let Some(scim) = target.scim.clone().filter(|scim| !scim.base_url.is_empty()) else { return Ok(None) };
        let read = |name: &str, reference: &Option<String>| {
            let value = reference.as_ref().map(|reference| {
                secrets.get(reference).map_err(|fault| Error::usage(format!("scim.{name}: {fault}"), "Set it."))
            });
            let value = value.transpose()?;
            if let Some(value) = &value {
                recorder.redactor.hide(value, "SCIM token");
            }
            Ok::<_, Error>(value)
        };
        let token = read("token", &scim.token)?;
        if scim.auth == ScimAuth::Bearer && token.is_none() {
            return Err(Error::usage("scim.token is not configured", "Name the provisioning token: token = \"env:NAME\"."));
        }
        Ok(Some(ScimWorld {
            token,
            second_token: read("second_token", &scim.second_token)?,
            scim,
            run_id: String::new(),
            granted: Default::default(),
            server: OnceCell::new(),
            book: Book::of(target),
            sentinel: OnceCell::new(),
            documents: OnceCell::new(),
            shared: Shared::default(),
            limit: Mutex::default(),
        }))
    }

    /// The same for a run.
    pub fn of_run(self, run_id: &str) -> ScimWorld {
        ScimWorld { run_id: run_id.to_owned(), book: self.book.of_run(run_id), ..self }
    }

    /// A made-up user of this run; `label` is lower-case and told apart from others.
    pub fn person(&self, label: &str) -> Person {
        Person::of_run(&self.run_id, label, &self.scim.domain)
    }

    /// A name of this run, for groups and the like.
    pub fn name(&self, label: &str) -> String {
        format!("{} {label}", self.run_id)
    }

    fn limit(&self) -> MutexGuard<'_, Limit> {
        self.limit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A second tenant is configured.
    pub fn has_second(&self) -> bool {
        self.second_token.is_some() || !self.scim.second_client_id.is_empty()
    }
}

impl World {
    /// The service provider under test, or why there is none.
    pub fn scim(&self) -> Result<&ScimWorld, Obstacle> {
        self.scim
            .as_ref()
            .ok_or_else(|| Obstacle::config("scim.base_url is not configured", "Add [scim] with base_url and token."))
    }
}

impl Stage {
    /// The service provider under test, or why there is none.
    pub fn scim(&self) -> Result<&ScimWorld, Obstacle> {
        self.world.scim()
    }

    /// Sends a SCIM request, and repeats it where the service provider limits how many it takes (429, RFC 6585 4): a client that keeps to
    /// the limit sees everything else as it is. What it made is remembered, and removed at the end of the run unless a DELETE removed it
    /// before. A change of a resource that is neither of this run nor named in the target file is not sent: its answer is silent and
    /// says why.
    ///
    /// # Errors
    /// There is no service provider, or no token for it; or it does not answer any more.
    pub async fn scim_send(&self, step: &str, call: Call) -> Result<Answer, Obstacle> {
        let world = self.scim()?;
        let mut repeats = 0;
        loop {
            let limited = world.limit().until;
            if let Some(until) = limited {
                self.wait_until(until, "the service provider's limit of requests").await;
            }
            let answer = self.scim_once(step, &call).await?;
            if !world.limit().lifts(&answer, repeats) {
                return Ok(answer);
            }
            repeats += 1;
        }
    }

    /// The same without a second try.
    ///
    /// # Errors
    /// There is no service provider, or no token for it.
    pub async fn scim_once(&self, step: &str, call: &Call) -> Result<Answer, Obstacle> {
        let world = self.scim()?;
        if let Some(why) = world.book.forbids(call) {
            return Ok(Answer { fault: Some(why), ..Answer::default() });
        }
        self.answering()?;
        let mut ask = Ask::get(call.url(&world.scim.base_url));
        ask.method = call.method.parse().map_err(|_| Obstacle::suite(format!("`{}` is no method", call.method)))?;
        ask.headers = call.headers.clone();
        if !ask.headers.iter().any(|(name, _)| name == "accept") {
            ask = ask.header("accept", "application/scim+json, application/json");
        }
        if let Some(token) = self.scim_token(&call.bearer).await? {
            ask = ask.header("authorization", format!("Bearer {token}"));
        }
        ask.body = call.body.clone();
        let intent = world.book.intend(&self.world.journal, call);
        let mut answer = Answer::from(self.world.http.send(self.scenario, step, ask).await);
        answer.token_refused = answer.status == 401 && matches!(call.bearer, Bearer::Own | Bearer::Second);
        self.heard(answer.fault.as_deref());
        world.book.note(call, &answer);
        if let Some(intent) = intent {
            if world.book.unproven(call, &answer) {
                let made = Call::get(format!("{}/{}", call.path, answer.id())).by(call.bearer.clone());
                Box::pin(self.scim_once("is that what was created?", &made)).await?;
            }
            world.book.settle(&self.world.journal, &intent, &answer);
        } else if call.method == "DELETE" {
            world.book.removed(&self.world.journal, call, &answer);
        } else if call.method == "PATCH" && answer.ok() && call.bearer == Bearer::Own && world.book.made_here(&call.path) {
            world.shared.patched.get_or_init(|| answer.clone());
        }
        Ok(answer)
    }

    /// The token that a request carries.
    ///
    /// # Errors
    /// There is none.
    pub async fn scim_token(&self, bearer: &Bearer) -> Result<Option<String>, Obstacle> {
        let world = self.scim()?;
        match bearer {
            Bearer::Nobody => Ok(None),
            Bearer::Other(token) => Ok(Some(token.clone())),
            Bearer::Second if world.second_token.is_some() => Ok(world.second_token.clone()),
            Bearer::Own if world.scim.auth == ScimAuth::Bearer => Ok(world.token.clone()),
            Bearer::Own | Bearer::Second => self.scim_grant(*bearer == Bearer::Second).await.map(Some),
        }
    }

    /// Creates a user of this run, with the attributes that `/Schemas` declares. A 4xx is no obstacle here: the answer says it.
    ///
    /// # Errors
    /// There is no service provider, or no token for it.
    pub async fn scim_create(&self, step: &str, person: &Person) -> Result<Answer, Obstacle> {
        let body = self.scim_shape().await?.fit_user(&person.body());
        self.scim_send(step, Call::post("/Users", &body)).await
    }

    /// What `/Schemas` declares.
    ///
    /// # Errors
    /// There is no service provider, or no token for it.
    pub async fn scim_shape(&self) -> Result<Shape, Obstacle> {
        Ok(Shape::of(&self.scim_documents().await?.schemas))
    }

    /// A user of this run to work on, or the obstacle that none can be made.
    ///
    /// # Errors
    /// Users cannot be created here.
    pub async fn scim_user(&self, label: &str) -> Result<(Person, Answer), Obstacle> {
        let person = self.scim()?.person(label);
        let answer = self.scim_create(&format!("user {label} is created"), &person).await?;
        if answer.ok() && self.scim()?.book.may_change("/Users", answer.id()) {
            return Ok((person, answer));
        }
        let other = if answer.ok() { ", and what came back is not the created user" } else { "" };
        Err(Obstacle::target(
            format!("a user to work on could not be created: {}{other}", answer.describe()),
            "See al2.app.create-user; a domain that the application accepts stands in scim.domain.",
        ))
    }

    /// The user that nobody may touch, made once in a run.
    ///
    /// # Errors
    /// Users cannot be created here.
    pub async fn scim_sentinel(&self) -> Result<Answer, Obstacle> {
        let world = self.scim()?;
        let made = world.sentinel.get_or_init(|| async { self.scim_user("sentinel").await.map(|(_, answer)| answer) }).await;
        made.clone()
    }

    /// The discovery documents, fetched once in a run.
    ///
    /// # Errors
    /// There is no service provider, or no token for it.
    pub async fn scim_documents(&self) -> Result<&Documents, Obstacle> {
        let fetch = |path: &'static str| self.scim_send("discovery", Call::get(path));
        let world = self.scim()?;
        world
            .documents
            .get_or_try_init(|| async {
                let (config, types, schemas) =
                    futures_util::future::join3(fetch("/ServiceProviderConfig"), fetch("/ResourceTypes"), fetch("/Schemas"))
                        .await;
                Ok(Documents { config: config?, types: types?, schemas: schemas? })
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_waited_for_unless_it_stays() {
        let limited =
            |after: &str| Answer { status: 429, headers: vec![("retry-after".into(), after.into())], ..Answer::default() };
        let mut limit = Limit::default();
        assert!(!limit.lifts(&Answer { status: 503, ..Answer::default() }, 0) && limit.until.is_none());
        assert!(limit.lifts(&limited("3"), 0) && limit.until > Some(Instant::now() + Duration::from_secs(2)));
        assert!(!limit.lifts(&limited("3"), REPEATS) && limit.until.is_none());
        assert!(!limit.lifts(&limited("3"), 0));
        assert!(!Limit::default().lifts(&limited("3600"), 0));
        assert!(Limit::default().lifts(&limited("soon"), 0));
    }
}
