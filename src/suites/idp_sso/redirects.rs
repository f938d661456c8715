//! idp-sso/redirects: redirect URIs that are almost the registered one.

use serde::{Deserialize, Serialize};

use crate::model::Judgement;
use crate::stage::Stage;
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::blocks::{self, Block, Deviation, Tried, all_refused, never_sent_there};
use crate::suites::idp_admin::Registered;

/// Varies the redirect URI.
pub struct Redirects;

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// A URI nobody registered, also with errors due.
    pub unregistered: Block,
    /// One variation at a time.
    pub variations: Block,
    /// The http twin.
    pub http: Block,
    /// No redirect_uri at all.
    pub missing: Block,
    /// An http URI registered by the hook; `None` without the hook.
    pub registered_http: Option<Registered>,
}

impl Scenario for Redirects {
    type Seen = Seen;
    const ID: &'static str = "idp-sso/redirects";
    const TITLE: &'static str = "varies the redirect URI, one thing at a time";
    const AFTER: &'static [&'static str] = &["idp-login"];
    const IN_SESSION: bool = true;
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.idp.redirect-unregistered-refused", unregistered_uris_get_nothing),
        Check::new("sl1.idp.redirect-exact-match", only_the_exact_uri_is_answered),
        Check::new("sl1.idp.redirect-http-refused", the_http_twin_is_refused),
        Check::new("sl1.idp.redirect-uri-mandatory", a_request_without_redirect_uri_is_refused),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let context = stage.world.signed_in()?.context.clone();
        let registered = stage.world.redirect_uris("main")[0].clone();
        let origin = registered.trim_end_matches("/cb/a").to_owned();
        let elsewhere = format!("{origin}/not-registered");
        let request = || stage.request("main");
        let unregistered = vec![
            Deviation::new("an unregistered path", request()?.set("redirect_uri", &elsewhere)),
            Deviation::new(
                "an unregistered path with prompt=none",
                request()?.set("redirect_uri", &elsewhere).set("prompt", "none"),
            ),
            Deviation::new(
                "an unregistered path with a broken scope",
                request()?.set("redirect_uri", &elsewhere).set("scope", "\u{1}"),
            ),
        ];
        let mut variations = Vec::new();
        for (what, uri) in vary(&registered, &origin) {
            variations.push(Deviation::new(what, request()?.set("redirect_uri", &uri)));
        }
        let http =
            vec![Deviation::new("the http twin", request()?.set("redirect_uri", &registered.replacen("https:", "http:", 1)))];
        // Servers that fall back to the only registered URI do so for clients with one: client P has one, client A two.
        let mut missing = vec![Deviation::new("no redirect_uri", request()?.without("redirect_uri"))];
        if stage.world.has_client("public") {
            missing.push(Deviation::new(
                "no redirect_uri, client with one registered URI",
                stage.request("public")?.without("redirect_uri"),
            ));
        }
        let mut played = blocks::play(stage, &context, vec![unregistered, variations, http, missing]).await?.into_iter();
        let mut next = || played.next().unwrap_or_default();
        let mut seen = Seen { unregistered: next(), variations: next(), http: next(), missing: next(), registered_http: None };
        seen.missing.held &= super::pkce::public_control(stage, &context).await;
        if stage.wants("sl1.idp.redirect-http-refused") && stage.world.target.hooks.contains_key("register-client") {
            let plain = format!("{}/cb/plain", origin.replacen("https:", "http:", 1));
            // A hook that cannot make a working client says nothing; the request alone is judged then.
            if stage.can_register().await.unwrap_or(false) {
                seen.registered_http = stage.register_and_try(&plain, &[&plain]).await.ok();
            }
        }
        Ok(seen)
    }
}

/// The variations of the catalogue. Each is sent percent-encoded as a parameter value, so that no browser resolves it.
fn vary(registered: &str, origin: &str) -> Vec<(&'static str, String)> {
    let host = origin.trim_start_matches("https://");
    let bare = host.split(':').next().unwrap_or(host);
    vec![
        ("an extra path segment", format!("{registered}/more")),
        ("a trailing slash", format!("{registered}/")),
        ("an encoded path step", format!("{registered}%2F..")),
        ("a path step from a sibling", format!("{origin}/cb/b/../a")),
        ("an added query", format!("{registered}?x=1")),
        ("an added fragment", format!("{registered}#x")),
        ("another case in the path", format!("{origin}/cb/A")),
        ("an explicit port 443 (low severity)", format!("https://{bare}:443/cb/a")),
        ("another port", format!("https://{bare}:8444/cb/a")),
        ("a sub-domain", format!("https://sub.{host}/cb/a")),
        ("the host as user info", format!("https://{bare}@evil.example/cb/a")),
        ("a host suffix", format!("https://{bare}.evil.example/cb/a")),
        ("the last character missing", registered[..registered.len() - 1].to_owned()),
        ("an appended %00", format!("{registered}%00")),
    ]
}

fn unregistered_uris_get_nothing(seen: &Seen) -> Judgement {
    never_sent_there(&seen.unregistered, "the browser is never sent to an unregistered URI, not even with an error")
}

fn only_the_exact_uri_is_answered(seen: &Seen) -> Judgement {
    all_refused(&seen.variations, &format!("all {} variations are refused", seen.variations.tried.len()))
}

fn the_http_twin_is_refused(seen: &Seen) -> Judgement {
    let Some(registered) = &seen.registered_http else {
        return all_refused(
            &seen.http,
            "the http twin of a registered URI is refused; registering one was not tried (no working hook register-client)",
        );
    };
    let mut both = seen.http.clone();
    both.tried.extend(registered.tried.iter().map(|(_, authz)| authz.clone()).map(|authz| Tried { authz, redeemed: None }));
    all_refused(
        &both,
        if registered.stored {
            "http URIs are refused, even a registered one"
        } else {
            "http URIs are refused, at registration and in requests"
        },
    )
}

fn a_request_without_redirect_uri_is_refused(seen: &Seen) -> Judgement {
    all_refused(&seen.missing, "a request without redirect_uri is refused")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Call;
    use crate::suites::blocks::examples::block;
    use crate::wire::seen::Outcome;

    fn seen(held: bool, outcome: Outcome) -> Seen {
        let block = || block(held, outcome);
        Seen { unregistered: block(), variations: block(), http: block(), missing: block(), registered_http: None }
    }

    #[test]
    fn each_is_refused_answered_or_undecided() {
        for (held, outcome, call) in
            [(true, Outcome::Page, Call::Pass), (true, Outcome::Code, Call::Broken), (false, Outcome::Page, Call::Undecided)]
        {
            assert!(Redirects::CHECKS.iter().all(|check| (check.judge)(&seen(held, outcome)).call == call), "{outcome:?}");
        }
        assert_eq!(unregistered_uris_get_nothing(&seen(true, Outcome::ErrorElsewhere)).call, Call::Broken);
    }

    #[test]
    fn no_variation_is_the_registered_uri() {
        let all = vary("https://rp.test/cb/a", "https://rp.test");
        assert_eq!(all.len(), 14);
        assert!(all.iter().all(|(_, uri)| uri != "https://rp.test/cb/a"));
    }
}
