//! Session commands by all three bindings: what they do, what is refused, what each defect does instead.

use super::*;
use crate::wire::jose::unsigned;

const BINDINGS: [&str; 3] = ["op-commands", "backchannel-logout", "token-revocation"];

impl World {
    fn command(&self, command: &str, changes: &Value) -> Value {
        let now = self.now();
        let mut claims = json!({
            "iss": ISSUER, "aud": format!("https://{API_HOST}/commands"), "client_id": CLIENT_ID, "iat": now, "exp": now + 60,
            "jti": random(9), "command": command, "sub": "s1",
        });
        change(&mut claims, changes);
        claims
    }

    fn logout_claims(&self, changes: &Value) -> Value {
        let now = self.now();
        let mut claims = json!({
            "iss": ISSUER, "aud": CLIENT_ID, "iat": now, "exp": now + 60, "jti": random(9), "sub": "s1",
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        });
        change(&mut claims, changes);
        claims
    }

    fn sign(&self, typ: &str, claims: &Value) -> String {
        self.provider.key.lock().unwrap().sign(&json!({"typ": typ}), claims)
    }

    async fn send_command(&self, claims: &Value) -> Answer {
        self.back("/commands", &[("command_token", &self.sign("command+jwt", claims)), ("x-suite", "1")]).await
    }

    async fn send_logout(&self, claims: &Value) -> Answer {
        self.back("/backchannel-logout", &[("logout_token", &self.sign("logout+jwt", claims))]).await
    }

    async fn revocation(&self, token: Option<&str>, body: &str) -> Answer {
        let mut request = self.http.post(format!("https://{API_HOST}/global-token-revocation"));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        send(&Browser::default(), request.header("content-type", "application/json").body(body.to_owned())).await
    }

    /// A valid command for user s1 by this binding.
    async fn strike(&self, binding: &str) -> Answer {
        match binding {
            "op-commands" => self.send_command(&self.command("invalidate", &json!({}))).await,
            "backchannel-logout" => self.send_logout(&self.logout_claims(&json!({}))).await,
            _ => {
                let body = json!({"sub_id": {"format": "iss_sub", "iss": ISSUER, "sub": "s1"}});
                self.revocation(Some(self.secret("revocation-token")), &body.to_string()).await
            }
        }
    }

    async fn login_as(&self, browser: &Browser, sub: &'static str, sid: &'static str) -> Option<String> {
        self.provider.say(&self.provider.claims, move |claims| {
            claims["sub"] = sub.into();
            claims["sid"] = sid.into();
            claims["email"] = format!("{sub}@example.test").into();
        });
        self.login(browser).await
    }
}

/// Null takes a claim away.
fn change(claims: &mut Value, changes: &Value) {
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
}

/// What is left after a command.
#[derive(Debug, Default, PartialEq)]
struct After {
    answer: u16,
    sessions: [bool; 3],
    written: bool,
    access: bool,
    refresh: bool,
    fresh: bool,
    again: bool,
}

async fn effects(defects: &[Defect], binding: &str) -> After {
    let world = world(defects).await;
    let browsers = [Browser::default(), Browser::default(), Browser::default()];
    let account = world.login_as(&browsers[0], "s1", "a").await;
    world.login_as(&browsers[1], "s1", "b").await;
    world.login_as(&browsers[2], "s2", "c").await;
    let tokens = world.get(&browsers[0], "/tokens").await.json();
    let form = world.get(&browsers[1], "/profile").await;
    let csrf = form.body.split_once("name=\"csrf\" value=\"").unwrap().1.split('"').next().unwrap().to_owned();
    world.provider.say(&world.provider.claims, |_| ());

    let mut after = After { answer: world.strike(binding).await.status, ..After::default() };
    world.post(&browsers[1], "/profile", &[("nickname", "changed"), ("csrf", &csrf)]).await;
    for (alive, browser) in after.sessions.iter_mut().zip(&browsers) {
        *alive = world.account(browser).await.is_some();
    }
    let token = |name: &str| tokens[name].as_str().unwrap();
    let data = world.http.get(format!("https://{API_HOST}/api/data")).bearer_auth(token("access_token"));
    after.access = send(&Browser::default(), data).await.status == 200;
    let form = [("grant_type", "refresh_token"), ("refresh_token", token("refresh_token"))];
    after.refresh = world.back("/token", &form).await.status == 200;
    let asked = world.begin(&browsers[0], "/login").await;
    after.fresh = asked.get("prompt").is_some_and(|prompt| prompt == "login");
    world.get(&browsers[0], &world.response(&asked)).await;
    after.again = world.account(&browsers[0]).await == account;
    after.written = world.get(&browsers[0], "/profile").await.text_of("shown-nickname").as_deref() == Some("changed");
    let asked = world.begin(&browsers[0], "/login").await;
    assert!(!asked.contains_key("prompt") || !after.again, "only the first login asks");
    after
}

#[tokio::test]
async fn a_command_ends_everything_of_the_user_and_nothing_of_others() {
    for (binding, status) in BINDINGS.into_iter().zip([200, 200, 204]) {
        let good = || After { answer: status, sessions: [false, false, true], fresh: true, again: true, ..After::default() };
        assert_eq!(effects(&[], binding).await, good(), "{binding}");
        let table = [
            (Defect::ReauthBeforePage, After { sessions: [true; 3], ..good() }),
            (Defect::ReauthBeforeStateChange, After { written: true, ..good() }),
            (Defect::ReauthNotSilent, After { sessions: [true; 3], ..good() }),
            (Defect::ReauthAsksFresh, After { fresh: false, ..good() }),
            (Defect::RevokeAllSessions, After { sessions: [false, true, true], written: true, ..good() }),
            (Defect::RevokeAppTokens, After { refresh: true, ..good() }),
            (Defect::RevokeOthersUnaffected, After { sessions: [false; 3], ..good() }),
            (Defect::ReloginAfterRevoke, After { again: false, ..good() }),
        ];
        for (defect, expected) in table {
            assert_eq!(effects(&[defect], binding).await, expected, "{binding} {defect:?}");
        }
    }
}

#[tokio::test]
async fn a_replayed_message_does_not_reach_the_new_session() {
    for (defect, statuses, alive) in [
        (None, [400, 400], true),
        (Some(Defect::BclReplay), [400, 200], true),
        (Some(Defect::CommandThenNewSessionSurvives), [200, 200], false),
    ] {
        for (index, binding) in BINDINGS.into_iter().take(2).enumerate() {
            let world = world(&defect.into_iter().collect::<Vec<_>>()).await;
            let browser = Browser::default();
            world.login(&browser).await;
            let claims = [world.command("invalidate", &json!({})), world.logout_claims(&json!({}))][index].clone();
            let strike =
                || async { if index == 0 { world.send_command(&claims).await } else { world.send_logout(&claims).await }.status };
            assert_eq!(strike().await, 200);
            assert!(world.login(&browser).await.is_some());
            assert_eq!(strike().await, statuses[index], "{defect:?} {binding}");
            assert_eq!(world.account(&browser).await.is_some(), alive, "{defect:?} {binding}");
        }
    }
}

#[tokio::test]
async fn commands_are_answered_as_the_draft_says() {
    let world = world(&[]).await;
    world.login(&Browser::default()).await;
    let claims = world.command("metadata", &json!({"sub": null, "tenant": "t", "metadata": {"x": 1}}));
    let answer = world.send_command(&claims).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    assert_eq!(answer.json()["context"], json!({"iss": ISSUER, "tenant": "t"}));
    for command in ["metadata", "invalidate", "suspend", "suspend_async", "audit_tenant"] {
        assert!(answer.json()["commands_supported"].as_array().unwrap().contains(&json!(command)), "{command}");
    }
    let answer = world.send_command(&world.command("invalidate", &json!({}))).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    assert_eq!(answer.json(), json!({"sub": "s1", "account_state": "active"}));
    let unknown = world.send_command(&world.command("invalidate", &json!({"sub": "nobody"}))).await;
    assert_eq!(unknown.error(), "409 incompatible_state");
    assert_eq!((&unknown.json()["account_state"], &unknown.json()["sub"]), (&json!("unknown"), &json!("nobody")));
    assert_eq!(world.send_command(&world.command("x-suite-unknown", &json!({}))).await.error(), "400 unsupported_command");
    assert_eq!(world.back("/commands", &[]).await.error(), "400 invalid_request");
    assert_eq!(world.get(&Browser::default(), &format!("https://{API_HOST}/commands")).await.status, 405);
}

#[tokio::test]
async fn forged_and_wrong_commands_have_no_effect() {
    let world = world(&[]).await;
    let browser = Browser::default();
    world.login(&browser).await;
    let now = world.now();
    let wrong = [
        json!({"aud": CLIENT_ID}),
        json!({"aud": "https://other.test"}),
        json!({"client_id": "other"}),
        json!({"exp": now - 3600}),
        json!({"exp": null}),
        json!({"iat": now + 86_400}),
        json!({"jti": null}),
        json!({"nonce": "n"}),
        json!({"sub": null}),
        json!({"tenant": "other"}),
    ];
    for changes in wrong {
        let answer = world.send_command(&world.command("invalidate", &changes)).await;
        assert_eq!(answer.error(), "400 invalid_request", "{changes}");
    }
    let foreign = world.send_command(&world.command("invalidate", &json!({"iss": "https://other.test"}))).await;
    assert_eq!(foreign.error(), "401 unrecognized_provider");
    let good = world.command("invalidate", &json!({}));
    let rs = SigningKey::generate("op-1", jsonwebtoken::Algorithm::ES256).unwrap();
    let mut tokens: Vec<String> = ["", "JWT", "logout+jwt"].iter().map(|typ| world.sign(typ, &good)).collect();
    tokens.extend([unsigned(&good), rs.sign(&json!({"typ": "command+jwt"}), &good), "x".into()]);
    for token in tokens {
        assert_eq!(world.back("/commands", &[("command_token", &token)]).await.error(), "400 invalid_request");
    }
    let second = world.command("invalidate", &json!({"iss": SECOND, "client_id": SECOND_CLIENT_ID}));
    assert_eq!(world.send_command(&second).await.status, 409);
    assert!(world.account(&browser).await.is_some());
    assert_eq!(world.send_command(&good).await.status, 200);
    assert!(world.account(&browser).await.is_none());
}

#[tokio::test]
async fn each_defect_of_the_command_endpoint_shows() {
    let table: &[(Defect, &str, Value, u16)] = &[
        (Defect::CommandClaimsChecked, "invalidate", json!({"exp": 1_000}), 200),
        (Defect::CommandUnknownRefused, "x-suite-unknown", json!({}), 200),
        (Defect::CommandUnknownAccount, "invalidate", json!({"sub": "nobody"}), 200),
        (Defect::CommandTenantBound, "invalidate", json!({"iss": SECOND, "client_id": SECOND_CLIENT_ID}), 200),
    ];
    for (defect, command, changes, status) in table {
        let (broken, good) = (world(&[*defect]).await, world(&[]).await);
        for world in [&broken, &good] {
            world.login(&Browser::default()).await;
        }
        assert_eq!(broken.send_command(&broken.command(command, changes)).await.status, *status, "{defect:?}");
        assert!(good.send_command(&good.command(command, changes)).await.status >= 400, "{defect:?}");
        assert_eq!(broken.strike("op-commands").await.status, 200, "{defect:?}");
    }
    let broken = world(&[Defect::CommandForgedRefused]).await;
    broken.login(&Browser::default()).await;
    let forged = SigningKey::generate("op-1", jsonwebtoken::Algorithm::ES256).unwrap();
    let token = forged.sign(&json!({"typ": "command+jwt"}), &broken.command("invalidate", &json!({})));
    assert_eq!(broken.back("/commands", &[("command_token", &token)]).await.status, 200);
    let broken = world(&[Defect::CommandTypRequired]).await;
    broken.login(&Browser::default()).await;
    let token = broken.sign("JWT", &broken.command("invalidate", &json!({})));
    assert_eq!(broken.back("/commands", &[("command_token", &token)]).await.status, 200);
    let broken = world(&[Defect::CommandMetadata]).await;
    let supported = broken.send_command(&broken.command("metadata", &json!({"sub": null}))).await.json();
    assert!(!supported["commands_supported"].as_array().unwrap().contains(&json!("invalidate")));
    let broken = world(&[Defect::CommandInvalidateResponse]).await;
    broken.login(&Browser::default()).await;
    let answer = broken.strike("op-commands").await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, ""));
}

#[tokio::test]
async fn logout_tokens_are_checked_and_sid_limits_them() {
    let world = world(&[]).await;
    let [one, two] = [Browser::default(), Browser::default()];
    world.login_as(&one, "s1", "a").await;
    world.login_as(&two, "s1", "b").await;
    let now = world.now();
    let event = "http://schemas.openid.net/event/backchannel-logout";
    let wrong = [
        json!({"iss": "https://other.test"}),
        json!({"aud": "other"}),
        json!({"events": null}),
        json!({"events": {"urn:other": {}}}),
        json!({"events": {event: "x"}}),
        json!({"events": event}),
        json!({"sub": null}),
        json!({"nonce": "n"}),
        json!({"exp": now - 3600}),
        json!({"iat": null}),
        json!({"jti": null}),
    ];
    for changes in wrong {
        assert_eq!(world.send_logout(&world.logout_claims(&changes)).await.status, 400, "{changes}");
    }
    let forged = [
        unsigned(&world.logout_claims(&json!({}))),
        world.sign("command+jwt", &world.logout_claims(&json!({}))),
        world.provider.id_token(ISSUER, None),
        SigningKey::generate("op-1", jsonwebtoken::Algorithm::ES256).unwrap().sign(&json!({}), &world.logout_claims(&json!({}))),
    ];
    for token in forged {
        assert_eq!(world.back("/backchannel-logout", &[("logout_token", &token)]).await.status, 400);
    }
    assert!(world.account(&one).await.is_some());
    let answer = world.send_logout(&world.logout_claims(&json!({"sid": "a", "aud": [CLIENT_ID]}))).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"));
    assert_eq!((world.account(&one).await.is_some(), world.account(&two).await.is_some()), (false, true));
    assert_eq!(world.send_logout(&world.logout_claims(&json!({"sid": "b", "sub": null}))).await.status, 200);
    assert!(world.account(&two).await.is_none());
    assert_eq!(world.send_logout(&world.logout_claims(&json!({}))).await.status, 200, "already ended");
}

#[tokio::test]
async fn each_defect_of_the_logout_endpoint_shows() {
    let broken = world(&[Defect::BclAccepts]).await;
    assert_eq!(broken.send_logout(&broken.logout_claims(&json!({}))).await.status, 400);
    assert_eq!(broken.send_logout(&broken.logout_claims(&json!({"sid": "a"}))).await.status, 200);
    let broken = world(&[Defect::BclClaimsChecked]).await;
    assert_eq!(broken.send_logout(&broken.logout_claims(&json!({"nonce": "n"}))).await.status, 200);
    let broken = world(&[Defect::BclForgedRefused]).await;
    let token = unsigned(&broken.logout_claims(&json!({})));
    assert_eq!(broken.back("/backchannel-logout", &[("logout_token", &token)]).await.status, 200);
    let broken = world(&[Defect::BclSidScope]).await;
    let [one, two, three] = [Browser::default(), Browser::default(), Browser::default()];
    for (browser, sub, sid) in [(&one, "s1", "a"), (&two, "s1", "b"), (&three, "s2", "c")] {
        broken.login_as(browser, sub, sid).await;
    }
    broken.send_logout(&broken.logout_claims(&json!({"sid": "a", "sub": null}))).await;
    let alive = [broken.account(&one).await, broken.account(&two).await, broken.account(&three).await];
    assert_eq!(alive.map(|account| account.is_some()), [false, false, true]);
}

#[tokio::test]
async fn revocation_wants_a_credential_of_the_users_issuer() {
    let body = json!({"sub_id": {"format": "iss_sub", "iss": ISSUER, "sub": "s1"}}).to_string();
    let email = json!({"sub_id": {"format": "email", "email": "u1@example.test"}}).to_string();
    let old = body.replace("sub_id", "subject");
    let world = world(&[]).await;
    let browser = Browser::default();
    world.login(&browser).await;
    let (first, second) = (Some(world.secret("revocation-token")), Some(world.secret("second-revocation-token")));
    let own = world.get(&browser, "/tokens").await.json()["access_token"].as_str().unwrap().to_owned();
    for (token, body, status) in [
        (None, body.as_str(), 401),
        (Some("random"), &body, 401),
        (Some(own.as_str()), &body, 401),
        (second, &body, 403),
        (second, &email, 404),
        (first, "no json", 400),
        (first, "{}", 400),
        (first, &old, 400),
        (first, r#"{"sub_id": {"format": "unknown"}}"#, 400),
        (first, &body.replace("s1", "nobody"), 404),
    ] {
        assert_eq!(world.revocation(token, body).await.status, status, "{body}");
    }
    assert!(world.account(&browser).await.is_some());
    assert_eq!(world.revocation(first, &email).await.status, 204);
    assert!(world.account(&browser).await.is_none());
    let at = format!("https://{API_HOST}/.well-known/oauth-authorization-server");
    let document = world.get(&browser, &at).await.json();
    assert_eq!(document["global_token_revocation_endpoint"], format!("https://{API_HOST}/global-token-revocation"));
    assert_eq!(document["issuer"], format!("https://{API_HOST}"));

    for (defect, second_issuer, body, status) in [
        (Defect::GtrAccepts, false, old.as_str(), 204),
        (Defect::GtrAccepts, false, &body, 400),
        (Defect::GtrErrors, false, r#"{"sub_id": {"format": "unknown"}}"#, 500),
        (Defect::GtrTenantBound, true, &body, 204),
    ] {
        let broken = super::world(&[defect]).await;
        broken.login(&Browser::default()).await;
        let token = broken.secret(if second_issuer { "second-revocation-token" } else { "revocation-token" });
        assert_eq!(broken.revocation(Some(token), body).await.status, status, "{defect:?}");
    }
    let broken = super::world(&[Defect::GtrAuthRequired]).await;
    broken.login(&Browser::default()).await;
    assert_eq!(broken.revocation(None, &body).await.status, 401);
    assert_eq!(broken.revocation(Some("random"), &body).await.status, 204);
    let broken = super::world(&[Defect::GtrAdvertised]).await;
    assert!(broken.get(&browser, &at).await.json()["global_token_revocation_endpoint"].is_null());
}

#[tokio::test]
async fn account_commands_move_an_account_through_its_states() {
    let world = world(&[]).await;
    let about = json!({"sub": "new", "given_name": "Ann", "roles": [{"id": "editor"}]});
    let send = async |command: &str| world.send_command(&world.command(command, &about)).await;
    let state = |answer: &Answer| format!("{} {}", answer.status, answer.json()["account_state"].as_str().unwrap_or_default());
    for (command, outcome) in [
        ("audit", "200 unknown"),
        ("suspend", "409 unknown"),
        ("activate", "200 active"),
        ("activate", "409 active"),
        ("reactivate", "409 active"),
        ("maintain", "200 active"),
        ("suspend", "200 suspended"),
        ("suspend", "409 suspended"),
        ("invalidate", "409 suspended"),
        ("restore", "409 suspended"),
        ("reactivate", "200 active"),
        ("archive", "200 archived"),
        ("maintain", "409 archived"),
        ("restore", "200 active"),
        ("delete", "200 unknown"),
        ("delete", "409 unknown"),
    ] {
        let answer = send(command).await;
        assert_eq!((state(&answer).as_str(), answer.header("cache-control")), (outcome, "no-store"), "{command}");
    }
    send("activate").await;
    let audit = send("audit").await.json();
    assert_eq!((&audit["given_name"], &audit["roles"]), (&json!("Ann"), &json!(["editor"])));
}

#[tokio::test]
async fn a_suspended_user_has_no_session_and_gets_none() {
    let world = world(&[]).await;
    let browser = Browser::default();
    world.login(&browser).await;
    assert_eq!(world.send_command(&world.command("suspend", &json!({}))).await.status, 200);
    assert!(world.account(&browser).await.is_none());
    world.login(&browser).await;
    assert!(world.account(&browser).await.is_none());
    assert_eq!(world.send_command(&world.command("reactivate", &json!({}))).await.status, 200);
    world.login(&browser).await;
    assert!(world.account(&browser).await.is_some());
}

#[tokio::test]
async fn a_tenant_is_listed_as_a_stream_that_can_be_resumed() {
    use crate::counterpart::command_issuer::stream::read_events;
    let world = world(&[]).await;
    for sub in ["a", "b", "c"] {
        world.send_command(&world.command("activate", &json!({"sub": sub, "tenant": "t"}))).await;
    }
    let list = async |after: Option<&str>| {
        let claims = world.command("audit_tenant", &json!({"sub": null, "tenant": "t"}));
        let token = world.sign("command+jwt", &claims);
        let request = world.http.post(format!("https://{API_HOST}/commands")).form(&[("command_token", token)]);
        let request = if let Some(after) = after { request.header("last-event-id", after) } else { request };
        send(&Browser::default(), request).await
    };
    let events = read_events(&list(None).await.body);
    assert_eq!((events.len(), &events[3].data), (4, &json!({"total_accounts": 3})));
    let rest = read_events(&list(events[1].id.as_deref()).await.body);
    assert_eq!(rest, events[2..]);
    assert_eq!(list(Some("never")).await.error(), "404 last-event-id-unavailable");
    let suspended = world.send_command(&world.command("suspend_tenant", &json!({"sub": null, "tenant": "t"}))).await;
    assert_eq!(suspended.header("content-type"), "text/event-stream");
    let other = world.send_command(&world.command("audit", &json!({"sub": "a", "tenant": "t"}))).await;
    assert_eq!(other.json()["account_state"], "suspended");
}
