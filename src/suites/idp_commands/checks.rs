//! Are the messages right? Pure; the tokens' members are those of the specifications, read leniently and judged strictly.

use serde_json::Value;

use super::{Jwt, Message, Seen, Sent};
use crate::model::Judgement;
use crate::model::verdict::Findings;
use crate::wire::seen::{NO_JWKS, Outcome, TokenSeen};

/// Seconds by which clocks may differ.
const SKEW_S: i64 = 60;
/// Algorithms that IPSIE Common Requirements 3.3 lists.
const LISTED: [&str; 4] = ["ES256", "PS256", "EdDSA", "Ed25519"];
/// OIDC Back-Channel Logout 1.0 2.4.
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";

/// The first message of a binding, or why there is none to look at.
fn first<'a>(seen: &'a Seen, binding: &str) -> Result<(&'a Sent, &'a Message), Judgement> {
    let Some(sent) = seen.sent.iter().find(|sent| sent.binding == binding) else { return Err(Judgement::undecided("not tried")) };
    if let Some(obstacle) = &sent.obstacle {
        return Err(Judgement::undecided(format!("nothing was sent: {obstacle}")));
    }
    let missing = || {
        Judgement::undecided(format!(
            "nothing arrived at {} within 60 s: the declared binding was not exercised (the service is not obliged to send; see that it \
             can reach the address)",
            sent.expected.endpoint
        ))
    };
    sent.messages.first().map(|message| (sent, message)).ok_or_else(missing)
}

struct Look<'a> {
    found: Findings,
    cite: Vec<String>,
    message: &'a Message,
}

impl<'a> Look<'a> {
    fn new(message: &'a Message) -> Self {
        let cite = vec![message.cite.clone()];
        let mut found = Findings::new();
        found.saw(&cite);
        Look { found, cite, message }
    }

    fn must(&mut self, holds: bool, told: impl Into<String>) {
        if !holds {
            self.found.broken(told, &self.cite);
        }
    }

    fn should(&mut self, holds: bool, told: impl Into<String>) {
        if !holds {
            self.found.doubtful(told, &self.cite);
        }
    }

    /// A POST of a form with this field alone.
    fn form(&mut self, field: &str) {
        self.must(self.message.method == "POST", format!("the method is {}", self.message.method));
        self.must(
            self.message.media_type == "application/x-www-form-urlencoded",
            format!("the body is `{}`, not a form", self.message.media_type),
        );
        self.must(self.message.names.iter().any(|name| name == field), format!("the form has no {field}"));
    }

    /// Signature, times and identifier, which all signed messages share.
    fn signed(&mut self, jwt: &Jwt, issuer: &str) {
        let alg = jwt.header["alg"].as_str().unwrap_or("(none)").to_owned();
        self.must(LISTED.contains(&alg.as_str()), format!("alg {alg} is not one that IPSIE lists"));
        match &jwt.fault {
            Some(fault) if fault == NO_JWKS => self.found.undecided(NO_JWKS, &self.cite),
            Some(fault) => self.must(false, format!("its signature: {fault}")),
            None => {}
        }
        self.must(text(jwt, "iss") == issuer, format!("iss is {}", show(jwt, "iss")));
        let number = |name: &str| jwt.claims.get(name).and_then(Value::as_f64);
        match (number("iat"), number("exp")) {
            (Some(iat), Some(exp)) => {
                #[allow(clippy::cast_precision_loss)]
                let (at, skew) = (self.message.at as f64, SKEW_S as f64);
                self.must((iat - at).abs() <= skew, "iat is not the time of sending");
                self.must(exp > iat, "exp does not lie after iat");
                self.must(exp > at - skew, "it had expired when it arrived");
                self.should(exp - iat <= 120.0, format!("it is valid for {} s, preferably no more than 120 s", exp - iat));
            }
            (None, _) => self.must(false, "iat is missing or no number"),
            (_, None) => self.must(false, "exp is missing or no number"),
        }
        self.must(!text(jwt, "jti").is_empty(), "jti is missing");
        self.must(!jwt.claims.contains_key("nonce"), "it contains nonce");
    }

    /// A message that was answered with success is not sent again.
    fn once(&mut self, sent: &Sent) {
        let jti = |message: &Message| message.token.as_ref().map(|token| text(token, "jti").to_owned());
        let own = jti(self.message).filter(|jti| !jti.is_empty());
        let again = sent.messages.iter().skip(1).filter(|other| own.is_some() && jti(other) == own).count();
        self.should(again == 0, format!("the same token came {} times although the first was answered with success", again + 1));
    }
}

fn text<'a>(jwt: &'a Jwt, name: &str) -> &'a str {
    jwt.claims.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn show(jwt: &Jwt, name: &str) -> String {
    jwt.claims.get(name).map_or_else(|| "missing".into(), ToString::to_string)
}

/// `aud` as one string or a list.
fn names_audience(jwt: &Jwt, wanted: &str) -> bool {
    match jwt.claims.get("aud") {
        Some(Value::String(one)) => one == wanted,
        Some(Value::Array(all)) => all.iter().any(|one| one == wanted),
        _ => false,
    }
}

pub(super) fn an_invalidate_command_is_right(seen: &Seen) -> Judgement {
    let (sent, message) = match first(seen, "op-commands") {
        Ok(found) => found,
        Err(judgement) => return judgement,
    };
    let (mut look, expected) = (Look::new(message), &sent.expected);
    look.form("command_token");
    if let Some(jwt) = &message.token {
        look.must(
            jwt.header["typ"].as_str().is_some_and(|typ| typ.eq_ignore_ascii_case("command+jwt")),
            "typ is not command+jwt",
        );
        look.signed(jwt, &expected.issuer);
        look.must(names_audience(jwt, &expected.endpoint), format!("aud is {}, not the command endpoint", show(jwt, "aud")));
        look.must(text(jwt, "client_id") == expected.client_id, format!("client_id is {}", show(jwt, "client_id")));
        let command = text(jwt, "command");
        look.must(matches!(command, "invalidate" | "invalidate_async"), format!("command is {}", show(jwt, "command")));
        look.must(text(jwt, "sub") == expected.sub, "sub is not that of the ID token");
        look.should(jwt.claims.contains_key("tenant"), "tenant is missing (the draft requires it, its examples leave it out)");
        let known = ["iss", "aud", "client_id", "iat", "exp", "nbf", "jti", "command", "tenant", "sub", "aud_sub", "nonce"];
        let others: Vec<&str> = jwt.claims.keys().map(String::as_str).filter(|name| !known.contains(name)).collect();
        look.should(others.is_empty(), format!("it says more than an invalidate command needs: {}", others.join(", ")));
    }
    look.once(sent);
    look.found.conclude("the Command Token is right for this application and user")
}

pub(super) fn a_logout_token_is_right(seen: &Seen) -> Judgement {
    let (sent, message) = match first(seen, "backchannel-logout") {
        Ok(found) => found,
        Err(judgement) => return judgement,
    };
    let (mut look, expected) = (Look::new(message), &sent.expected);
    look.form("logout_token");
    look.must(expected.announced, "the metadata does not say backchannel_logout_supported");
    if let Some(jwt) = &message.token {
        look.signed(jwt, &expected.issuer);
        look.must(names_audience(jwt, &expected.client_id), format!("aud is {}, without the client_id", show(jwt, "aud")));
        let event = jwt.claims.get("events").and_then(|events| events.get(LOGOUT_EVENT));
        look.must(event.is_some_and(Value::is_object), "events has no back-channel logout member that is an object");
        let (sub, sid) = (jwt.claims.get("sub"), jwt.claims.get("sid"));
        look.must(sub.is_some() || sid.is_some(), "there is neither sub nor sid");
        look.must(sub.is_none_or(|sub| sub == expected.sub.as_str()), "sub is not that of the ID token");
        if let (Some(sid), Some(own)) = (sid, &expected.sid) {
            // One token per session: any of them may be the one of this login.
            let any = sent.messages.iter().filter_map(|other| other.token.as_ref()).any(|other| text(other, "sid") == own);
            let known = sid.as_str().is_some_and(|sid| expected.other_sids.iter().any(|other| other == sid));
            if known && !any && sid != own.as_str() {
                // The user's other sessions in this run end as well; a token about this one may have come too late to be seen.
                look.found.undecided("the logout token names another session of the user in this run", &look.cite);
            } else {
                look.must(sid == own.as_str() || any, "sid is not that of the ID token");
            }
        }
    }
    look.once(sent);
    look.found.conclude("the logout token is right for this client and session")
}

pub(super) fn a_revocation_request_is_right(seen: &Seen) -> Judgement {
    let (sent, message) = match first(seen, "token-revocation") {
        Ok(found) => found,
        Err(judgement) => return judgement,
    };
    let (mut look, expected) = (Look::new(message), &sent.expected);
    look.must(message.method == "POST", format!("the method is {}", message.method));
    look.must(message.media_type == "application/json", format!("the body is `{}`, not JSON", message.media_type));
    let old = message.body.get("sub_id").is_none() && message.body.get("subject").is_some();
    look.should(!old, "the member is called subject, as in older drafts, instead of sub_id");
    let subject = message.body.get("sub_id").or_else(|| message.body.get("subject")).cloned().unwrap_or_default();
    look.must(subject.is_object(), "there is no sub_id object");
    let others: Vec<&str> =
        message.names.iter().map(String::as_str).filter(|name| !matches!(*name, "sub_id" | "subject")).collect();
    look.should(others.is_empty(), format!("the request has further members: {}", others.join(", ")));
    let member = |name: &str| subject[name].as_str().unwrap_or_default();
    match member("format") {
        "iss_sub" => {
            look.must(member("iss") == expected.issuer, "sub_id.iss is not the issuer");
            look.must(member("sub") == expected.sub, "sub_id.sub is not that of the ID token");
        }
        "email" => look.must(!member("email").is_empty(), "sub_id has format email and no email"),
        "opaque" => look.must(!member("id").is_empty(), "sub_id has format opaque and no id"),
        other if subject.is_object() => look.must(false, format!("sub_id.format is `{other}`")),
        _ => {}
    }
    match &message.credential {
        None => look.must(false, "the request carries no Authorization"),
        Some(credential) => {
            look.must(
                credential.scheme.eq_ignore_ascii_case("bearer"),
                format!("the scheme is `{}`, not Bearer", credential.scheme),
            );
            match &credential.jwt {
                Some(jwt) if expected.by_jwt => {
                    look.signed(jwt, &expected.issuer);
                    let origin = expected.endpoint.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
                    let named =
                        [expected.endpoint.as_str(), &origin, &expected.client_id].iter().any(|aud| names_audience(jwt, aud));
                    look.must(named, format!("aud of the credential is {}", show(jwt, "aud")));
                }
                _ if expected.by_jwt => look.must(false, "the credential is no signed JWT, which idp.revocation_auth declares"),
                _ => look.must(credential.declared != Some(false), "the credential is not idp.revocation_token"),
            }
        }
    }
    look.found.conclude("the request is authenticated and names the user")
}

pub(super) fn a_revoked_session_needs_a_login(seen: &Seen) -> Judgement {
    let Some(session) = seen.session.as_ref().filter(|session| session.done) else {
        let obstacle = seen.sent.iter().find_map(|sent| sent.obstacle.as_deref());
        return Judgement::undecided(obstacle.unwrap_or("not tried"));
    };
    let mut found = Findings::new();
    match &session.quiet {
        Some(quiet) if quiet.outcome == Outcome::Code => {
            found.broken("the session at the identity service still signs in silently", &quiet.deciding());
        }
        Some(quiet) if !session.quiet_before => {
            found.undecided("prompt=none gave no code before the revocation either", &quiet.cites);
        }
        Some(quiet) if quiet.out_of_order() => found.undecided(quiet.describe(), &quiet.cites),
        Some(quiet) if quiet.refused() || quiet.outcome == Outcome::LoginPage => found.saw(&quiet.cites),
        Some(quiet) => found.undecided(quiet.describe(), &quiet.cites),
        None => found.undecided("prompt=none was not tried", &[]),
    }
    match (&session.refresh_before, &session.refresh) {
        (_, Some(after)) if after.granted() => found.broken("an old refresh token still brings tokens", &after.cites),
        (Some(before), Some(after)) if before.granted() && after.refused() => found.saw(&after.cites),
        (None, _) => {}
        (before, after) => {
            let told = after.as_ref().or(before.as_ref()).map(TokenSeen::describe).unwrap_or_default();
            found.undecided(format!("the refresh: {told}"), &[]);
        }
    }
    found.conclude("the old session needs a new login, and old refresh tokens are refused")
}

#[cfg(test)]
mod tests;
