//! What somebody does on the application's own pages: the scripts `accounts.surface.NAME` of the target file.

use serde::{Deserialize, Serialize};

use super::Stage;
use super::browser::{Act, AgentFault, Landing, Page, Visit};
use super::oracle::{loops, place, same_origin};
use super::visitor::Visitor;
use crate::model::ExchangeId;
use crate::model::target::{Step, Surface};
use crate::suite::Obstacle;

/// How far a script came. Whether it had an effect is for others to see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Played {
    /// All steps were done.
    pub complete: bool,
    /// Why not: the element that was not there.
    pub stopped: String,
    /// The page it ended at, without query and fragment.
    pub place: String,
    /// Its status.
    pub status: u16,
    /// The browser was led to the suite's provider.
    pub at_provider: bool,
    /// The application gave no answer.
    pub unreachable: Option<String>,
    /// The visits.
    pub cites: Vec<ExchangeId>,
}

impl Played {
    /// The application refused: the page of the script is not for this user, or ended with a refusal, or at the provider.
    pub fn refused(&self) -> bool {
        self.at_provider || (400..500).contains(&self.status) && self.status != 429
    }

    /// In words.
    pub fn describe(&self) -> String {
        match (&self.unreachable, self.complete) {
            (Some(why), _) => format!("no answer ({why})"),
            (None, true) => format!("the steps end with status {} at {}", self.status, self.place),
            (None, false) => format!("{} (status {} at {})", self.stopped, self.status, self.place),
        }
    }
}

/// Values for the placeholders of a script: `{user_name}` and so on, without the braces.
pub type Values<'a> = [(&'a str, &'a str)];

/// A text with its placeholders filled in.
pub fn filled(text: &str, values: &Values<'_>) -> String {
    values.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// The same in a URL, where a value is encoded.
fn filled_url(url: &str, values: &Values<'_>) -> String {
    let encoded = |value: &str| url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>().replace('+', "%20");
    values.iter().fold(url.to_owned(), |url, (name, value)| url.replace(&format!("{{{name}}}"), &encoded(value)))
}

impl Visitor {
    /// Plays a script in the visitor's tab. An element that is not there ends it.
    ///
    /// # Errors
    /// The browser failed.
    pub async fn play(
        &self,
        stage: &Stage,
        surface: &Surface,
        values: &Values<'_>,
        step: &str,
    ) -> Result<(Played, Landing), Obstacle> {
        let app = stage.app()?;
        app.provider.step(&self.id, step);
        let mut tab = self.tab.lock().await;
        let mut page = match tab.take() {
            Some(page) => page,
            None => self.page().await?,
        };
        let mut landing = self.visit(stage, page.as_mut(), Visit::Get(filled_url(&surface.url, values)), step).await?;
        let mut stopped = String::new();
        for action in &surface.steps {
            match self.step(stage, page.as_mut(), action, values, step).await {
                Ok(Some(next)) => landing = next,
                Ok(None) => {}
                Err(fault @ (AgentFault::NoElement { .. } | AgentFault::Deadline { .. })) => {
                    stopped = fault.to_string();
                    break;
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        *tab = Some(page);
        let played = Played {
            complete: stopped.is_empty(),
            stopped,
            place: place(&landing.url),
            status: landing.status,
            at_provider: same_origin(&landing.url, app.provider.issuer()),
            unreachable: unreachable(&landing),
            cites: landing.hops.last().map(|hop| hop.exchange.clone()).into_iter().collect(),
        };
        Ok((played, landing))
    }

    async fn step(
        &self,
        stage: &Stage,
        page: &mut dyn Page,
        action: &Step,
        values: &Values<'_>,
        step: &str,
    ) -> Result<Option<Landing>, AgentFault> {
        let landing = match action {
            Step::Fill { at, with } => {
                let fill = Act::Fill { at: filled(at, values), with: filled(with, values), secret: false };
                page.act(&[fill], step).await?
            }
            Step::Click { at } => page.act(&[Act::Click { at: filled(at, values) }], step).await?,
            Step::WaitFor { at } => page.wait_for(&filled(at, values), step).await?,
            Step::ClickIfThere { at } => match page.act(&[Act::Click { at: filled(at, values) }], step).await {
                Err(AgentFault::NoElement { .. }) => return Ok(None),
                other => other?,
            },
            Step::SecondFactor {} => return Ok(None),
        };
        if let Err(fault) = self.visited(stage, &landing, 0).await {
            return Err(AgentFault::Lost(fault.message));
        }
        Ok(Some(landing))
    }
}

/// Why nothing can be concluded: no answer, one request too many, or an application that is down.
fn unreachable(landing: &Landing) -> Option<String> {
    let lost = landing.error.clone().filter(|error| !loops(error));
    lost.or_else(|| matches!(landing.status, 429 | 502..=504).then(|| format!("status {}", landing.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_encoded_in_urls() {
        let values = [("id", "a/b"), ("value", "x y")];
        assert_eq!(filled("{value} of {id} {other}", &values), "x y of a/b {other}");
        assert_eq!(filled_url("https://app.test/users/{id}?q={value}", &values), "https://app.test/users/a%2Fb?q=x%20y");
    }

    #[test]
    fn a_page_for_others_is_a_refusal_and_an_outage_is_none() {
        let played = |status| Played { status, complete: true, ..Played::default() };
        assert!(played(403).refused() && played(404).refused());
        assert!(!played(200).refused() && !played(429).refused() && !played(500).refused());
        assert!(Played { at_provider: true, ..played(200) }.refused());
    }
}
