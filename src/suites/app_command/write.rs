//! The declared change: made once before the command, prepared in an open form, submitted after it, and read back by a new session.

use serde::{Deserialize, Serialize};

use crate::model::ExchangeId;
use crate::model::target::WriteProbe;
use crate::stage::Stage;
use crate::stage::browser::{Act, AgentFault, Page, Visit};
use crate::stage::visitor::Visitor;
use crate::suite::Obstacle;
use crate::wire::jose::random;

/// What became of the change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct WriteSeen {
    /// A change before the command could be read back.
    pub works: bool,
    /// The form was submitted after the command.
    pub submitted: bool,
    /// A new session of the user could read.
    pub read: bool,
    /// It shows the value from before the command.
    pub old_shown: bool,
    /// It shows the value that was submitted after the command.
    pub new_shown: bool,
    /// What went wrong on the way.
    pub fault: Option<String>,
    /// The exchanges.
    pub cites: Vec<ExchangeId>,
}

/// An open form.
pub struct Form {
    page: Box<dyn Page>,
    old: String,
    new: String,
}

fn acts(probe: &WriteProbe, value: &str) -> [Act; 2] {
    [Act::Fill { at: probe.field.clone(), with: value.to_owned(), secret: false }, Act::Submit { at: probe.field.clone() }]
}

async fn shows(
    stage: &Stage,
    visitor: &Visitor,
    probe: &WriteProbe,
    step: &str,
) -> Result<(String, Option<ExchangeId>), Obstacle> {
    let url = if probe.read_url.is_empty() { &probe.url } else { &probe.read_url };
    let landing = visitor.open(stage, url, step).await?;
    Ok((landing.html, landing.hops.last().map(|hop| hop.exchange.clone())))
}

/// Makes a change, reads it back, and opens the form once more.
///
/// # Errors
/// The browser failed.
pub async fn before(stage: &Stage, visitor: &Visitor, probe: &WriteProbe) -> Result<(WriteSeen, Option<Form>), Obstacle> {
    let mut seen = WriteSeen::default();
    let (old, new) = (format!("before-{}", random(9)), format!("after-{}", random(9)));
    match made(visitor, probe, &old).await {
        Ok(page) => {
            let (html, cite) = shows(stage, visitor, probe, "the change before the command is read back").await?;
            seen.cites.extend(cite);
            seen.works = stage.control(html.contains(&old));
            Ok((seen, Some(Form { page, old, new })))
        }
        Err(fault) => {
            stage.control(false);
            seen.fault = Some(fault.message);
            Ok((seen, None))
        }
    }
}

/// Makes a change with a form, and opens the form again.
async fn made(visitor: &Visitor, probe: &WriteProbe, value: &str) -> Result<Box<dyn Page>, Obstacle> {
    let mut page = visitor.page().await?;
    page.go(Visit::Get(probe.url.clone()), "form of a change").await?;
    page.act(&acts(probe, value), "a change before the command").await?;
    let mut page = visitor.page().await?;
    page.go(Visit::Get(probe.url.clone()), "form of a change, left open").await?;
    Ok(page)
}

impl Form {
    /// Submits the open form after the command.
    pub async fn submit(&mut self, probe: &WriteProbe, seen: &mut WriteSeen) {
        match self.page.act(&acts(probe, &self.new), "a change with the old session").await {
            Ok(landing) => {
                seen.submitted = true;
                seen.cites.extend(landing.hops.iter().map(|hop| hop.exchange.clone()));
            }
            // The request went out, and what came back took too long.
            Err(AgentFault::Deadline { .. }) => seen.submitted = true,
            Err(fault) => seen.fault = Some(fault.to_string()),
        }
    }

    /// Reads back in a new session of the user.
    ///
    /// # Errors
    /// The browser failed.
    pub async fn read_back(
        &mut self,
        stage: &Stage,
        visitor: &Visitor,
        probe: &WriteProbe,
        seen: &mut WriteSeen,
    ) -> Result<(), Obstacle> {
        let (html, cite) = shows(stage, visitor, probe, "the change is read back by a new session").await?;
        seen.cites.extend(cite);
        seen.read = true;
        seen.old_shown = html.contains(&self.old);
        seen.new_shown = html.contains(&self.new);
        Ok(())
    }
}
