//! Signing in by the explicit steps of the target file.

use super::recipe::{SignInFault, Typed, Until};
use super::recipe_login::Login;
use super::{Act, AgentFault, recipe_page};
use crate::model::target::Step;

impl Login<'_> {
    /// Plays the steps until the suite is reached or, if wanted, the second factor.
    pub(super) async fn by_steps(&mut self, steps: &[Step]) -> Result<(), SignInFault> {
        let mut acts = Vec::new();
        let mut typed = Vec::new();
        for step in steps {
            if self.arrived() {
                return Ok(());
            }
            match step {
                Step::Fill { at, with } => {
                    let act = self.fill(at, with, &mut typed).await?;
                    acts.push(act);
                }
                Step::Click { at } => {
                    acts.push(Act::Click { at: at.clone() });
                    self.play(&mut acts, &mut typed).await?;
                }
                Step::WaitFor { at } => {
                    self.play(&mut acts, &mut typed).await?;
                    if !self.arrived() {
                        self.wait_for(at, "sign in: wait").await?;
                    }
                }
                Step::ClickIfThere { at } => {
                    self.play(&mut acts, &mut typed).await?;
                    if self.arrived() {
                        return Ok(());
                    }
                    match self.act(&[Act::Click { at: at.clone() }], "sign in: click if there").await {
                        Ok(()) => self.note(Typed::Consent),
                        Err(SignInFault::Agent(AgentFault::NoElement { .. })) => {}
                        Err(fault) => return Err(fault),
                    }
                }
                Step::SecondFactor {} => {
                    self.play(&mut acts, &mut typed).await?;
                    if self.until == Until::SecondFactor {
                        return Ok(());
                    }
                }
            }
        }
        self.play(&mut acts, &mut typed).await?;
        if self.arrived() { Ok(()) } else { Err(self.stuck("the explicit steps ended before the suite was reached")) }
    }

    async fn fill(&mut self, at: &str, with: &str, typed: &mut Vec<Typed>) -> Result<Act, SignInFault> {
        let mut text = with.replace("{username}", &self.who.name).replace("{password}", &self.who.password);
        let (password, code) = (with.contains("{password}"), with.contains("{totp}"));
        let hardware = with.contains("{hardware_totp}");
        if code {
            let fresh = self.code(false).await?;
            text = text.replace("{totp}", &fresh);
        }
        if hardware {
            let fresh = self.code(true).await?;
            text = text.replace("{hardware_totp}", &fresh);
        }
        typed.push(match () {
            () if password => Typed::Password,
            () if code => Typed::OneTimeCode,
            () if hardware => Typed::HardwareCode,
            () if with.contains("{username}") => Typed::UserName,
            () => Typed::Other,
        });
        Ok(Act::Fill { at: at.to_owned(), with: text, secret: password || code || hardware })
    }

    /// Does what was gathered.
    async fn play(&mut self, acts: &mut Vec<Act>, typed: &mut Vec<Typed>) -> Result<(), SignInFault> {
        if acts.is_empty() {
            return Ok(());
        }
        let acts = std::mem::take(acts);
        let password = typed.contains(&Typed::Password);
        if password && self.typed(Typed::Password) {
            return Err(self.stuck("the explicit steps type the password twice"));
        }
        let sent = matches!(acts.last(), Some(Act::Click { .. } | Act::Submit { .. }));
        for what in std::mem::take(typed) {
            self.note(what);
        }
        self.act(&acts, "sign in: explicit steps").await?;
        let again = recipe_page::wants(&self.done.landing).password.is_some();
        if password && sent && again && !self.arrived() { Err(self.refuse("password")) } else { Ok(()) }
    }
}
