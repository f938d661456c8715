//! What all scenarios at an application share: its description, the provider that the suite plays for it, the oracle, the users.

use std::sync::OnceLock;

use super::World;
use super::oracle::Rule;
use crate::counterpart::provider::{Provider, Subject};
use crate::model::target::App;
use crate::suite::Obstacle;

/// The application under test and its provider.
pub struct AppWorld {
    /// As the target file describes it.
    pub app: App,
    /// The OpenID Provider it signs in at.
    pub provider: Provider,
    /// How a signed-in page is told from a signed-out one; known once the stage is set.
    rule: OnceLock<Rule>,
    /// The main user and another one.
    pub users: [Subject; 2],
    /// The application's client secret, where it has one.
    pub client_secret: Option<String>,
}

impl AppWorld {
    /// With the rule that the operator declared, where there is one.
    pub fn new(app: App, provider: Provider, users: [Subject; 2], client_secret: Option<String>) -> Self {
        let rule = Rule::declared(&app.logged_in).map(OnceLock::from).unwrap_or_default();
        AppWorld { app, provider, rule, users, client_secret }
    }

    /// How a signed-in page is told from a signed-out one. Before anybody knows, no page is a signed-in one.
    pub fn rule(&self) -> &Rule {
        self.rule.get().unwrap_or(&Rule::Unknown)
    }

    /// Settles the rule; the first one stays.
    pub fn settle(&self, rule: Rule) {
        let _ = self.rule.set(rule);
    }

    /// A user nobody has seen before; `what` tells it from others of this run.
    pub fn somebody(&self, what: &str) -> Subject {
        made_up(&format!("{}-{what}", self.users[0].sub), what, &self.app.tenant)
    }
}

/// The users of a run: those of the target file, else two made up for this run.
pub fn users(app: &App, run_id: &str) -> [Subject; 2] {
    let declared = |index: usize| {
        app.users.get(index).map(|user| Subject {
            sub: user.sub.clone(),
            email: user.email.clone(),
            email_verified: true,
            name: user.name.clone(),
            tenant: app.tenant.clone(),
        })
    };
    let user =
        |index: usize, name: &str| declared(index).unwrap_or_else(|| made_up(&format!("{run_id}-{name}"), name, &app.tenant));
    [user(0, "alice"), user(1, "bob")]
}

fn made_up(sub: &str, name: &str, tenant: &str) -> Subject {
    Subject {
        sub: sub.to_owned(),
        email: format!("{sub}@ipsie-conform.test"),
        email_verified: true,
        name: format!("Suite {name}"),
        tenant: tenant.to_owned(),
    }
}

impl World {
    /// The application under test, or why there is none.
    pub fn app(&self) -> Result<&AppWorld, Obstacle> {
        self.app
            .as_ref()
            .ok_or_else(|| Obstacle::config("the target file has no table [app]", "Add [app], or test another role."))
    }
}
