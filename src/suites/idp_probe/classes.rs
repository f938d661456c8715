//! idp-probe/classes: does the metadata list the classes that can be requested? Last, when every ID token is in.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::Judgement;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};

/// The announced classes.
pub struct Classes;

/// What is announced, declared and seen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// The discovery document was read.
    pub document: bool,
    /// `acr_values_supported`; `None` where it is missing or no list.
    pub listed: Option<BTreeSet<String>>,
    /// Declared in the target file.
    pub declared: BTreeSet<String>,
    /// `acr` of the ID tokens of the run.
    pub seen: BTreeSet<String>,
    /// The discovery exchange.
    pub cites: Vec<String>,
}

impl Scenario for Classes {
    type Seen = Seen;
    const ID: &'static str = "idp-probe/classes";
    const TITLE: &'static str = "compares the announced classes with those that were seen";
    const AFTER: &'static [&'static str] = &["*"];
    const CHECKS: &'static [Check<Seen>] = &[Check::new("sl2.idp.acr-supported-advertised", every_class_is_listed)];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let discovery = &stage.world.discovery;
        let tokens = stage.world.samples().id_tokens.clone();
        let listed = discovery.document["acr_values_supported"].is_array();
        Ok(Seen {
            document: discovery.document.is_object(),
            listed: listed.then(|| discovery.list("acr_values_supported").into_iter().map(str::to_owned).collect()),
            declared: stage.world.idp.classes.iter().map(|class| class.acr.clone()).collect(),
            seen: tokens.iter().filter_map(|token| token.claim("acr").as_str().map(str::to_owned)).collect(),
            cites: discovery.reply.iter().map(|reply| reply.exchange.clone()).collect(),
        })
    }
}

fn every_class_is_listed(seen: &Seen) -> Judgement {
    let judgement = match &seen.listed {
        _ if !seen.document => Judgement::undecided("the discovery document is not available"),
        None => Judgement::broken("the metadata has no list acr_values_supported"),
        Some(listed) => {
            let missing: Vec<&str> =
                seen.declared.union(&seen.seen).filter(|acr| !listed.contains(*acr)).map(String::as_str).collect();
            if missing.is_empty() {
                Judgement::pass("acr_values_supported lists every class that is declared or was seen")
            } else {
                Judgement::broken(format!("acr_values_supported does not list {}", missing.join(", ")))
            }
        }
    };
    judgement.cite(&seen.cites)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;

    #[test]
    fn a_class_that_is_used_is_listed() {
        let set = |names: &[&str]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let seen =
            Seen { document: true, listed: Some(set(&["a", "b"])), declared: set(&["a"]), seen: set(&["b"]), cites: vec![] };
        assert_eq!(every_class_is_listed(&seen).call, Call::Pass);
        assert_eq!(every_class_is_listed(&Seen { seen: set(&["c"]), ..seen.clone() }).call, Call::Broken);
        assert_eq!(every_class_is_listed(&Seen { listed: None, ..seen }).call, Call::Broken);
        assert_eq!(every_class_is_listed(&Seen::default()).call, Call::Undecided);
    }
}
