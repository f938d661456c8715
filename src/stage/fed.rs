//! Authorization responses that a scenario gives to a browser of its choice, in place of the provider: what an attacker can do.

use serde::{Deserialize, Serialize};
use url::Url;

use super::Stage;
use super::browser::Visit;
use super::oracle::{Look, disturbed, place};
use super::visitor::Visitor;
use crate::counterpart::provider::{Answer, Authorization, TokenRequest};
use crate::model::ExchangeId;
use crate::suite::Obstacle;

/// A message on its way to the application through a browser.
#[derive(Clone, Debug)]
pub struct Message {
    /// How the browser brings it.
    pub visit: Visit,
    /// The authorization code it carries.
    pub code: Option<String>,
}

impl Message {
    /// An authorization response, brought as the request wanted it: by form post, else by its URL.
    pub fn response(request: &Authorization, url: &str) -> Self {
        let Ok(parsed) = Url::parse(url) else { return Message { visit: Visit::Get(url.to_owned()), code: None } };
        let code = parsed.query_pairs().find(|(name, _)| name == "code").map(|(_, value)| value.into_owned());
        if request.get("response_mode") != Some("form_post") {
            return Message { visit: Visit::Get(url.to_owned()), code };
        }
        let fields = parsed.query_pairs().into_owned().collect();
        Message { visit: Visit::Post { url: place(url), fields }, code }
    }

    /// Parameters in the query of a place that may have a query already.
    pub fn query(at: &str, pairs: &[(&str, &str)]) -> Self {
        let code = pairs.iter().find(|(name, _)| *name == "code").map(|(_, value)| (*value).to_owned());
        let url = Url::parse(at).map(|mut url| {
            url.query_pairs_mut().extend_pairs(pairs);
            url.to_string()
        });
        Message { visit: Visit::Get(url.unwrap_or_else(|_| at.to_owned())), code }
    }

    /// Parameters in the fragment.
    pub fn fragment(at: &str, pairs: &[(&str, &str)]) -> Self {
        let text = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        Message { visit: Visit::Get(format!("{at}#{text}")), code: None }
    }

    /// Parameters as a form that another site posts.
    pub fn form(at: &str, pairs: &[(&str, &str)]) -> Self {
        let code = pairs.iter().find(|(name, _)| *name == "code").map(|(_, value)| (*value).to_owned());
        let fields = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Message { visit: Visit::Post { url: at.to_owned(), fields }, code }
    }

    fn place(&self) -> String {
        let (Visit::Get(url) | Visit::Post { url, .. }) = &self.visit;
        place(url)
    }
}

/// What became of a message that was given to a browser.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fed {
    /// What was tried.
    pub label: String,
    /// The application answered where the message was brought.
    pub delivered: bool,
    /// A token request with its code arrived.
    pub redeemed: bool,
    /// That request's verifier fits the request the code was made for; `None` without token request or challenge.
    pub verifier_fits: Option<bool>,
    /// Why the answer to the message itself decides nothing, whatever the protected page shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disturbed: Option<String>,
    /// Authorization requests of this browser that it led to.
    pub requests: usize,
    /// The protected page afterwards.
    pub look: Look,
    /// Deciding exchanges, the offending one first.
    pub cites: Vec<ExchangeId>,
}

impl Fed {
    /// The application has a session for this browser.
    pub fn signed_in(&self) -> bool {
        self.look.signed_in
    }

    /// The message was delivered and the application has no session for this browser.
    pub fn refused(&self) -> bool {
        self.delivered && !self.look.signed_in && self.look.unreachable.is_none()
    }

    /// What happened, in words.
    pub fn describe(&self) -> String {
        let code = if self.redeemed { "the code was redeemed; " } else { "" };
        let delivered = if self.delivered { "" } else { "the application did not answer; " };
        format!("{delivered}{code}{}", self.look.describe())
    }
}

impl Visitor {
    /// Starts a login whose authorization request stays open; `None` where none arrived.
    pub async fn hold(&self, stage: &Stage, step: &str) -> Result<Option<Authorization>, Obstacle> {
        let app = stage.app()?;
        let before = app.provider.log().authorizations_of(&self.id).len();
        let next = || app.provider.log().authorizations_of(&self.id).get(before).map(|seen| (*seen).clone());
        // In the tab that the response comes to: a script may keep its transaction there.
        self.open(stage, app.app.start(), step).await?;
        if next().is_none() {
            self.start(stage, Answer::Hold, step).await?;
        }
        Ok(next())
    }

    /// Brings a message to the application and looks whether that gave a session. Requests that follow are left open.
    pub async fn feed(&self, stage: &Stage, message: &Message, label: &str) -> Result<Fed, Obstacle> {
        let app = stage.app()?;
        app.provider.silence(&self.id);
        let before = app.provider.log().authorizations_of(&self.id).len();
        let landing = self.go(stage, message.visit.clone(), label).await?;
        let requests = app.provider.log().authorizations_of(&self.id).len() - before;
        let look = self.look_for_session(stage, &landing, label).await?;
        // A callback that limits the rate, or drops the connection, refuses nothing.
        let disturbed = disturbed(&landing, app.provider.issuer());
        let unreachable = look.unreachable.clone().or_else(|| disturbed.clone());
        let look = Look { unreachable: unreachable.filter(|_| !look.signed_in), ..look };
        let log = app.provider.log();
        let ours = |token: &&TokenRequest| message.code.is_some() && token.get("code") == message.code.as_deref();
        let uses: Vec<&TokenRequest> = log.tokens.iter().filter(ours).collect();
        let to = message.place();
        let hop = landing.hops.iter().find(|hop| hop.status != 0 && place(&hop.url) == to);
        let mut cites: Vec<ExchangeId> = hop.map(|hop| hop.exchange.clone()).into_iter().collect();
        cites.extend(uses.iter().map(|token| token.exchange.clone()));
        cites.extend(look.cites.last().cloned());
        Ok(Fed {
            label: label.to_owned(),
            delivered: hop.is_some(),
            redeemed: !uses.is_empty(),
            verifier_fits: uses.iter().filter_map(|token| token.verifier_fits).reduce(|one, other| one || other),
            disturbed,
            requests,
            look,
            cites,
        })
    }
}
