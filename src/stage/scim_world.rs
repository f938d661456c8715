//! What all scenarios share about the application's SCIM service provider: its description, the suite's token, what was made there.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::http::Ask;
use super::journal::{Entry, Journal};
use super::recorder::Recorder;
use super::scim_token::AuthorizationServer;
use super::secrets::Secrets;
use super::{Stage, World};
use crate::counterpart::scim_client::{Answer, Bearer, Call, Person, Shape, quoted};
use crate::error::Error;
use crate::model::target::{Scim, ScimAuth, Target};
use crate::suite::Obstacle;

/// Resources that are removed at a time.
const SWEEP_AT_ONCE: usize = 8;
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
    made: Mutex<Vec<Made>>,
    sentinel: OnceCell<Result<Answer, Obstacle>>,
    documents: OnceCell<Documents>,
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

/// A resource that the run made and that must be gone afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    /// `/Users`, `/Groups`.
    place: String,
    /// Its id; empty where the answer to its creation was lost.
    id: String,
    /// `userName` or `displayName`.
    name: String,
    /// In the second tenant.
    second: bool,
}

impl Made {
    fn entry(&self) -> Entry {
        let Made { place, id, name, second } = self.clone();
        Entry::Scim { place, id, name, second }
    }

    fn bearer(&self) -> Bearer {
        if self.second { Bearer::Second } else { Bearer::Own }
    }
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
            made: Mutex::default(),
            sentinel: OnceCell::new(),
            documents: OnceCell::new(),
            limit: Mutex::default(),
        }))
    }

    /// The same for a run.
    pub fn of_run(self, run_id: &str) -> ScimWorld {
        ScimWorld { run_id: run_id.to_owned(), ..self }
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

    fn note(&self, journal: &Journal, call: &Call, answer: &Answer) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if call.method == "POST"
            && matches!(call.path.as_str(), "/Users" | "/Groups" | "/Roles")
            // Whoever answers late or with a fault may have committed all the same.
            && (answer.ok() || answer.status == 0 || answer.status >= 500)
        {
            let sent: Value = call.body.as_ref().and_then(|(_, body)| serde_json::from_slice(body).ok()).unwrap_or_default();
            let name = sent["userName"].as_str().or(sent["displayName"].as_str()).unwrap_or_default();
            let new = Made {
                place: call.path.clone(),
                id: if answer.ok() { answer.id().to_owned() } else { String::new() },
                name: name.to_owned(),
                second: call.bearer == Bearer::Second,
            };
            journal.add(&new.entry());
            made.push(new);
        } else if call.method == "DELETE" && (answer.ok() || answer.status == 404) {
            let second = call.bearer == Bearer::Second;
            made.retain(|known| known.second != second || format!("{}/{}", known.place, known.id) != call.path);
        }
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
    /// before.
    ///
    /// # Errors
    /// There is no service provider, or no token for it.
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
        let answer = Answer::from(self.world.http.send(self.scenario, step, ask).await);
        world.note(&self.world.journal, call, &answer);
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
        if answer.ok() && !answer.id().is_empty() {
            return Ok((person, answer));
        }
        Err(Obstacle::target(
            format!("a user to work on could not be created: {}", answer.describe()),
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

    /// Takes resources of an earlier run over, so that [`Stage::scim_sweep`] removes them.
    pub fn scim_adopt(&self, entry: &Entry) {
        let (Ok(world), Entry::Scim { place, id, name, second }) = (self.scim(), entry) else { return };
        let made = Made { place: place.clone(), id: id.clone(), name: name.clone(), second: *second };
        world.made.lock().unwrap_or_else(PoisonError::into_inner).push(made);
    }

    /// The run made this resource of its own tenant, or took it over from an earlier run.
    pub fn scim_made(&self, place: &str, id: &str) -> bool {
        let Ok(world) = self.scim() else { return false };
        let made = world.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.iter().any(|made| made.place == place && made.id == id && !made.second)
    }

    /// Removes what the run made at the service provider, and says what could not be removed.
    pub async fn scim_sweep(&self) -> Vec<Entry> {
        let Ok(world) = self.scim() else { return Vec::new() };
        let made = std::mem::take(&mut *world.made.lock().unwrap_or_else(PoisonError::into_inner));
        // Groups first: a server may hold on to members of a group.
        let (groups, others): (Vec<Made>, Vec<Made>) = made.into_iter().partition(|made| made.place == "/Groups");
        let mut left = Vec::new();
        for some in [groups, others] {
            let gone = futures_util::stream::iter(some).map(|made| async move {
                let mut gone = true;
                for id in self.scim_ids(&made).await {
                    let call = Call::delete(format!("{}/{id}", made.place)).by(made.bearer());
                    let answer = self.scim_send("clean-up", call).await;
                    gone &= answer.is_ok_and(|answer| answer.ok() || answer.status == 404);
                }
                (!gone).then_some(made)
            });
            let stuck: Vec<Option<Made>> = gone.buffer_unordered(SWEEP_AT_ONCE).collect().await;
            for made in stuck.into_iter().flatten() {
                self.leave(format!("could not be removed at the target: {}/{} ({})", made.place, made.id, made.name));
                left.push(made.entry());
            }
        }
        left
    }

    /// The id of what was made; where the answer was lost it is looked up.
    async fn scim_ids(&self, made: &Made) -> Vec<String> {
        if !made.id.is_empty() {
            return vec![made.id.clone()];
        }
        let attribute = if made.place == "/Users" { "userName" } else { "displayName" };
        let call = Call::get(made.place.clone()).filter(format!("{attribute} eq {}", quoted(&made.name))).by(made.bearer());
        let Ok(answer) = self.scim_send("clean-up", call).await else { return Vec::new() };
        // A server that ignores filters must not lose anybody else's resources.
        let ours = answer.resources().iter().filter(|resource| resource[attribute].as_str() == Some(made.name.as_str()));
        ours.filter_map(|resource| resource["id"].as_str().map(str::to_owned)).collect()
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
