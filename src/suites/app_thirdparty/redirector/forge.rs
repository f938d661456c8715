//! Authorization responses whose `state` holds a URL.

use url::Url;

use crate::wire::jose::{b64, unb64};

/// Ways to put a URL into `state`.
pub(super) const FORGERIES: usize = 3;

/// The response with the URL in its state, in one of several ways; `None` where its state is not made that way.
pub(super) fn forged(response: &str, which: usize, value: &str) -> Option<String> {
    let mut url = Url::parse(response).ok()?;
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let state = pairs.iter().find(|(name, _)| name == "state").map(|(_, state)| state.clone())?;
    let forged = match which {
        0 => value.to_owned(),
        // base64url of JSON with a page in it.
        1 => {
            let mut json: serde_json::Value = serde_json::from_slice(&unb64(&state).ok()?).ok()?;
            let members = json
                .as_object_mut()?
                .values_mut()
                .filter(|member| member.as_str().is_some_and(|text| text.starts_with(['/', 'h'])));
            let mut changed = 0;
            for member in members {
                *member = value.into();
                changed += 1;
            }
            (changed > 0).then(|| b64(json.to_string()))?
        }
        // A random part, a separator, and a page.
        _ => {
            let (kept, page) = state.split_once([':', '|', ';'])?;
            let separator = state.get(kept.len()..=kept.len())?;
            page.starts_with(['/', 'h']).then(|| format!("{kept}{separator}{value}"))?
        }
    };
    let pairs = pairs.into_iter().map(|(name, old)| if name == "state" { (name, forged.clone()) } else { (name, old) });
    let pairs: Vec<(String, String)> = pairs.collect();
    url.query_pairs_mut().clear().extend_pairs(pairs);
    Some(url.into())
}
