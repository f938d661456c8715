//! Classes of authentication: what a request asks for and what a login meets (OIDC Core 3.1.2.1 and 5.5.1.1, OIDC Unmet
//! Authentication Requirements 1.0). Every login meets [`ACR`]; the code of a second authenticator lifts it to [`ACR_HARDWARE`].

use serde_json::Value;

use super::state::{Authentication, AuthorizationRequest, State};
use super::{ACR, ACR_HARDWARE, Op};
use crate::counterpart::twist::Twist;

/// What a request asks for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `acr_values`, in order.
    pub values: Vec<String>,
    /// Values of an essential `acr` in the `claims` parameter.
    pub essential: Option<Vec<String>>,
}

impl Asked {
    /// Reads both parameters; an error is a `claims` parameter that is not JSON.
    pub fn read(acr_values: Option<&str>, claims: Option<&str>) -> Result<Self, serde_json::Error> {
        let values = acr_values.unwrap_or_default().split(' ').filter(|value| !value.is_empty()).map(str::to_owned).collect();
        let claims: Value = claims.map_or(Ok(Value::Null), serde_json::from_str)?;
        let acr = &claims["id_token"]["acr"];
        let one = acr["value"].as_str().map(str::to_owned);
        let many = acr["values"].as_array().into_iter().flatten().filter_map(|value| value.as_str().map(str::to_owned));
        let essential = (acr["essential"] == true).then(|| one.into_iter().chain(many).collect());
        Ok(Asked { values, essential })
    }
}

/// What becomes of a request, as far as its classes are concerned.
#[derive(Debug, PartialEq)]
pub enum Met {
    /// The login is enough; this goes into `acr` (empty only under a defect).
    Yes(String),
    /// The user has to use the second authenticator first.
    Factor,
    /// This user never gets there.
    Never,
}

fn known(value: &str) -> bool {
    value == ACR || value == ACR_HARDWARE
}

/// Holds a login against what was asked for. `before` tells a session from a login made for this very request.
pub fn met(op: &Op, state: &State, asked: &AuthorizationRequest, login: &Authentication, before: bool) -> Met {
    let classes = &asked.classes;
    let truth = if login.strong { ACR_HARDWARE } else { ACR };
    let essential = classes.essential.as_ref().filter(|values| {
        let ignored = op.twist(Twist::AcrEssentialClaim) && !asked.prompt_none && !values.iter().any(|value| known(value));
        !ignored
    });
    if let Some(values) = essential {
        let met = |value: &&String| **value == ACR || (**value == ACR_HARDWARE && login.strong);
        if let Some(value) = values.iter().find(met) {
            return Met::Yes(value.clone());
        }
        if op.twist(Twist::PromptNoneInsufficient) && asked.prompt_none {
            return Met::Yes(truth.into());
        }
        return if values.iter().any(|value| value == ACR_HARDWARE) { reachable(state, login) } else { Met::Never };
    }
    let wanted = match () {
        () if op.twist(Twist::AcrValuesHonoured) => None,
        () if op.twist(Twist::AcrOrder) => classes.values.last().filter(|value| known(value)),
        () => classes.values.iter().find(|value| known(value)),
    };
    let invented = classes.values.first().filter(|value| !known(value) && op.twist(Twist::AcrNeverOverstated));
    match wanted {
        Some(value) if value == ACR_HARDWARE && !login.strong => {
            if op.twist(Twist::AcrStepUp) && before && !asked.prompt_none {
                return Met::Yes(ACR_HARDWARE.into());
            }
            match reachable(state, login) {
                Met::Never if op.twist(Twist::AcrUnsatisfiable) => Met::Yes(String::new()),
                other => other,
            }
        }
        _ => Met::Yes(invented.map_or(truth, String::as_str).to_owned()),
    }
}

fn reachable(state: &State, login: &Authentication) -> Met {
    let able = state.accounts.get(&login.user).is_some_and(|account| !account.user.hardware.is_empty());
    if able { Met::Factor } else { Met::Never }
}
