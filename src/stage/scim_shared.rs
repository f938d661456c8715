//! What several scenarios of a run share at the service provider, so that it is asked for once: users, and answers that serve more than one
//! clause. Nothing is shared that one scenario changes and another one judges.

use std::sync::{Mutex, OnceLock, PoisonError};

use serde_json::json;
use tokio::sync::OnceCell;

use super::Stage;
use crate::counterpart::scim_client::{Answer, Call, Person};
use crate::suite::Obstacle;

/// Shared users and answers of a run.
#[derive(Default)]
pub struct Shared {
    known: OnceCell<Known>,
    worker: OnceCell<Result<Answer, Obstacle>>,
    bad_filter: OnceCell<Answer>,
    /// The first page of one user, read before the first scenario, where that was a success.
    pub first: OnceLock<Answer>,
    spare: Mutex<Vec<String>>,
    /// The first PATCH of a user of this run that succeeded.
    pub patched: OnceLock<Answer>,
}

/// A user that nobody changes: it is created, read, found and listed.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Who it is.
    pub person: Person,
    /// Its creation; the last try.
    pub made: Answer,
    /// The user by its id, right after its creation; `None` where it was not made.
    pub read: Option<Answer>,
}

impl Stage {
    /// The user that nobody changes, made once in a run. Its name has a plus sign and capitals, and it has a password, where the
    /// server takes them. That it could not be made is no obstacle: the answer says it.
    ///
    /// # Errors
    /// There is no service provider, or no token for it.
    pub async fn scim_known(&self) -> Result<Known, Obstacle> {
        self.scim()?.shared.known.get_or_try_init(|| self.make_known()).await.cloned()
    }

    async fn make_known(&self) -> Result<Known, Obstacle> {
        let (scim, shape) = (self.scim()?, self.scim_shape().await?);
        let mut person = scim.person("Known+user");
        let mut body = shape.fit_user(&person.body());
        if shape.user("password").is_some() {
            body["password"] = json!(format!("Pw1-{}", crate::wire::jose::random(12)));
        }
        let mut made = self.scim_send("a user is created", Call::post("/Users", &body)).await?;
        if !made.ok() && !made.silent() {
            person = scim.person("known-user");
            made = self.scim_create("a user is created, with a plain name and no password", &person).await?;
        }
        let read = if made.ok() && !made.id().is_empty() {
            Some(self.scim_send("the created user by its id", Call::get(format!("/Users/{}", made.id()))).await?)
        } else {
            None
        };
        Ok(Known { person, made, read })
    }

    /// A user that scenarios work on where they do not see each other: its membership in one group, and a role that there is not.
    ///
    /// # Errors
    /// Users cannot be created here.
    pub async fn scim_worker(&self) -> Result<Answer, Obstacle> {
        let shared = &self.scim()?.shared;
        shared.worker.get_or_init(|| async { self.scim_user("worker").await.map(|(_, answer)| answer) }).await.clone()
    }

    /// Gives a user of this run away, as it was read last: its scenario has ended and judges it no more.
    pub fn scim_give(&self, user: &Answer) {
        let Ok(world) = self.scim() else { return };
        if user.ok() && !user.id().is_empty() {
            world.shared.spare.lock().unwrap_or_else(PoisonError::into_inner).push(user.id().to_owned());
        }
    }

    /// The id of a user that was given away, else of a new one.
    ///
    /// # Errors
    /// Users cannot be created here.
    pub async fn scim_spare(&self, label: &str) -> Result<String, Obstacle> {
        let given = self.scim()?.shared.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match given {
            Some(id) => Ok(id),
            None => Ok(self.scim_user(label).await?.1.id().to_owned()),
        }
    }

    /// The answer to a filter that ends before its value.
    ///
    /// # Errors
    /// There is no service provider, or no token for it.
    pub async fn scim_bad_filter(&self) -> Result<Answer, Obstacle> {
        let send = || self.scim_send("a filter that cannot be", Call::get("/Users").filter("userName eq"));
        self.scim()?.shared.bad_filter.get_or_try_init(send).await.cloned()
    }
}
