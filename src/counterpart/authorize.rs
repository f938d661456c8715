//! Authorization requests through the browser, and what they led to.

use std::sync::Arc;

use url::Url;

use super::dpop::Dpop;
use super::relying_party::AuthzRequest;
use super::token::{TokenRequest, Tokens};
use crate::model::target::User;
use crate::stage::Stage;
use crate::stage::browser::recipe::{self, Credentials, SignInFault, SignedIn, Until};
use crate::stage::browser::totp::TotpSource;
use crate::stage::browser::{AgentFault, Context, Landing, Page, Visit};
use crate::suite::Obstacle;
use crate::wire::seen::{AuthzSeen, Outcome, TokenSeen};

/// What an authorization request led to, with the code kept in memory.
#[derive(Clone, Debug)]
pub struct Authz {
    /// What was seen.
    pub seen: AuthzSeen,
    /// The code, where one came.
    pub code: Option<String>,
    /// The `state` that came back.
    pub state: Option<String>,
}

/// A silent login with its code redeemed.
#[derive(Clone, Debug)]
pub struct Silent {
    /// The authorization response.
    pub authz: Authz,
    /// The token response; `None` where no code came.
    pub token: Option<TokenSeen>,
    /// The tokens.
    pub tokens: Tokens,
}

impl Silent {
    /// Did the whole login succeed?
    pub fn succeeded(&self) -> bool {
        self.authz.seen.outcome == Outcome::Code && self.token.as_ref().is_some_and(TokenSeen::granted)
    }
}

impl From<AgentFault> for Obstacle {
    fn from(fault: AgentFault) -> Self {
        match fault {
            AgentFault::NoBrowser(_) => {
                Obstacle::config(fault.to_string(), "Install Chromium, or use --browser form for server-rendered login pages.")
            }
            AgentFault::Lost(_) => Obstacle::suite(fault.to_string()),
            _ => Obstacle::target(
                fault.to_string(),
                "Look at the screenshot; raise network.login_timeout_s if the target is slow.",
            ),
        }
    }
}

impl Stage {
    /// Sends an authorization request in this context and clicks through pages that ask for no credentials (consent), as a
    /// user would: a refusal that only rests on a consent page is none.
    pub async fn authorize(&self, context: &Arc<dyn Context>, request: &AuthzRequest, what: &str) -> Result<Authz, Obstacle> {
        let url = request.url(self.world.endpoint("authorization_endpoint")?);
        self.authorize_by(context, request, Visit::Get(url), what).await
    }

    /// As [`Stage::authorize`], by any visit.
    pub async fn authorize_by(
        &self,
        context: &Arc<dyn Context>,
        request: &AuthzRequest,
        visit: Visit,
        what: &str,
    ) -> Result<Authz, Obstacle> {
        let mut page = context.page(self.scenario).await?;
        let mut landing = page.go(visit, what).await?;
        // An error page may have a button too; pressing that is not what a consenting user does.
        if landing.error.is_none() && landing.status < 400 && recipe::asks_for_consent(&landing) {
            landing = self.consent(page.as_mut(), landing).await?;
        }
        Ok(self.classify(request, &landing, what))
    }

    async fn consent(&self, page: &mut dyn Page, landing: Landing) -> Result<Landing, Obstacle> {
        let nobody = Credentials::new("", "", None, false);
        let shown = landing.clone();
        match recipe::sign_in(page, landing, &nobody, &[], Until::Arrival, &self.world.recorder, self.scenario).await {
            Ok(signed_in) => Ok(signed_in.whole()),
            Err(SignInFault::Agent(fault)) => Err(fault.into()),
            // Stuck on a page that was no consent page after all: the page itself is the answer.
            Err(_) => Ok(shown),
        }
    }

    /// A silent login: the conforming request in a signed-in context, code redeemed.
    pub async fn silent(
        &self,
        context: &Arc<dyn Context>,
        request: &AuthzRequest,
        what: &str,
        dpop: Option<&Dpop>,
    ) -> Result<Silent, Obstacle> {
        let authz = self.authorize(context, request, what).await?;
        let Some(code) = authz.code.clone().filter(|_| authz.seen.outcome == Outcome::Code) else {
            return Ok(Silent { authz, token: None, tokens: Tokens::default() });
        };
        let (token, tokens) = self.token(&TokenRequest::code(request, &code, &format!("token request: {what}")), dpop).await?;
        Ok(Silent { authz, token: Some(token), tokens })
    }

    /// The control: the unmutated twin in the same context.
    pub async fn silent_control(&self, context: &Arc<dyn Context>) -> bool {
        let played = async {
            let request = self.request("main")?;
            self.silent(context, &request, "control: conforming login", None).await
        };
        let held = matches!(played.await, Ok(silent) if silent.succeeded());
        self.control(held)
    }

    /// Signs a user in, typed, starting at an authorization request.
    pub async fn sign_in(
        &self,
        context: &Arc<dyn Context>,
        request: &AuthzRequest,
        user: &User,
        visit: Visit,
        until: Until,
        what: &str,
    ) -> Result<(Authz, SignedIn, Box<dyn Page>), Obstacle> {
        let mut page = context.page(self.scenario).await?;
        let landing = page.go(visit, what).await?;
        if let Some(error) = &landing.error {
            return Err(Obstacle::network(
                format!("the browser could not show {}: {error}", path_of(&landing.url)),
                "Check network.resolve and network.ca_file.",
            ));
        }
        let signed_in = self.finish_sign_in(page.as_mut(), landing, user, until).await?;
        Ok((self.classify(request, &signed_in.whole(), what), signed_in, page))
    }

    /// Types what the page in front of us asks for.
    pub async fn finish_sign_in(
        &self,
        page: &mut dyn Page,
        landing: Landing,
        user: &User,
        until: Until,
    ) -> Result<SignedIn, Obstacle> {
        let mut who = self.credentials(user)?;
        if let Some(reference) = &user.passkey {
            let text = self.secret(reference, "passkey", user)?;
            let key = serde_json::from_str(&text).map_err(|fault| {
                Obstacle::config(
                    format!("passkey of user `{}`: {fault}", user.name),
                    "The commented target file of `init` shows its form.",
                )
            })?;
            who.passkey = page.passkey(&key).await?;
        }
        recipe::sign_in(page, landing, &who, &self.world.idp.login.steps, until, &self.world.recorder, self.scenario)
            .await
            .map_err(|fault| {
                let message = fault.to_string();
                match fault {
                    SignInFault::Refused { .. } => {
                        Obstacle::config(message, "Mend the credentials of idp.users in the target file.")
                    }
                    SignInFault::Agent(fault) => fault.into(),
                    _ => Obstacle::target(
                        message,
                        "Look at the screenshot; write explicit steps under [idp.login] if the page is unusual.",
                    ),
                }
            })
    }

    fn secret(&self, reference: &str, what: &str, user: &User) -> Result<String, Obstacle> {
        let value = self.world.secrets.get(reference).map_err(|fault| {
            Obstacle::config(format!("{what} of user `{}`: {fault}", user.name), "Mend idp.users in the target file.")
        })?;
        self.world.recorder.redactor.hide(&value, &format!("{what} of {}", user.name));
        Ok(value)
    }

    /// What is known of a user; made once per run, so that a refused password is never typed again and no code is used twice.
    pub fn credentials(&self, user: &User) -> Result<Credentials, Obstacle> {
        if let Some(known) = self.world.users().get(&user.name) {
            return Ok(known.clone());
        }
        let password = user.password.as_ref().map(|reference| self.secret(reference, "password", user)).transpose()?;
        let totp = user.totp.as_ref().map(|reference| self.authenticator(reference, "totp", user)).transpose()?;
        let mut made = Credentials::new(&user.name, &password.unwrap_or_default(), totp, false);
        made.hardware =
            user.hardware_totp.as_ref().map(|reference| self.authenticator(reference, "hardware_totp", user)).transpose()?;
        made.within = std::time::Duration::from_secs(self.world.target.network.login_timeout_s.max(5));
        Ok(self.world.users().entry(user.name.clone()).or_insert(made).clone())
    }

    fn authenticator(&self, reference: &str, key: &str, user: &User) -> Result<TotpSource, Obstacle> {
        let secret = self.secret(reference, &format!("{key} secret"), user)?;
        let source = TotpSource::new(&secret).map_err(|fault| {
            Obstacle::config(format!("{key} of user `{}`: {fault}", user.name), "It is the base32 secret or the otpauth URI.")
        })?;
        let (events, scenario) = (self.world.events.clone(), self.scenario);
        let told = move |wait: std::time::Duration| {
            let what = "a one-time code that was not used yet".into();
            events(crate::event::Event::Waiting { scenario: scenario.into(), what, seconds: wait.as_secs().max(1) });
        };
        Ok(source.reusable(user.reusable_codes).on_wait(Arc::new(told)))
    }

    /// Judges where a landing ended. Looks at every hop, because a code may be seen in a Location header although the browser
    /// could not go there.
    pub fn classify(&self, request: &AuthzRequest, landing: &Landing, what: &str) -> Authz {
        let sent_to = host_of(request.get("redirect_uri"));
        let ours = |url: &str| {
            let host = host_of(url);
            host.is_some() && (host == sent_to || host.as_deref().is_some_and(|host| self.is_suite_host(host)))
        };
        let mut urls: Vec<(String, Option<String>)> = Vec::new();
        for hop in landing.hops.iter().filter(|hop| !hop.script) {
            for url in [Some(hop.url.clone()), hop.location()].into_iter().flatten().filter(|url| ours(url)) {
                urls.push((url, Some(hop.exchange.clone())));
            }
        }
        let mut params: Vec<(String, String)> = Vec::new();
        let mut mode = "query";
        let arrival = landing.arrival.as_ref();
        for url in urls.iter().map(|(url, _)| url).chain(arrival.map(|arrival| &arrival.url)) {
            let Ok(parsed) = Url::parse(url) else { continue };
            let fragment = parsed.fragment().unwrap_or_default();
            if fragment.contains('=') {
                mode = "fragment";
            }
            for (name, value) in parsed.query_pairs().chain(url::form_urlencoded::parse(fragment.as_bytes())) {
                let pair = (name.into_owned(), value.into_owned());
                if !params.contains(&pair) {
                    params.push(pair);
                }
            }
        }
        // A redirect that repeats the login form (307) brings its fields along; they are no response where the query holds one.
        let answered = params.iter().any(|(name, _)| matches!(name.as_str(), "code" | "error"));
        if let Some(arrival) = arrival.filter(|arrival| !arrival.form.is_empty() && !answered) {
            mode = "form_post";
            params.extend(arrival.form.iter().cloned());
        }
        let all = |name: &str| params.iter().filter(|(key, _)| key == name).map(|(_, value)| value.clone()).collect::<Vec<_>>();
        let first = |name: &str| all(name).into_iter().next();
        let (code, error, state) = (first("code").filter(|code| !code.is_empty()), first("error"), first("state"));
        let reached = urls.last().map(|(url, _)| url.clone()).or_else(|| arrival.map(|arrival| arrival.url.clone()));
        let at_registered = reached.as_deref().is_some_and(|url| request.registered.iter().any(|known| known == path_of(url)));
        let outcome = match (&code, &reached) {
            (Some(_), Some(_)) => Outcome::Code,
            (_, Some(_)) if at_registered && error.is_none() => Outcome::Empty,
            (_, Some(_)) if at_registered => Outcome::Error,
            (_, Some(_)) => Outcome::ErrorElsewhere,
            // A page that did not come to rest says nothing.
            _ if landing.error.is_some() => Outcome::Fault,
            _ if recipe::asks_for_credentials(landing) => Outcome::LoginPage,
            _ => Outcome::Page,
        };
        let mut cites: Vec<String> = landing.hops.iter().filter(|hop| !hop.script).map(|hop| hop.exchange.clone()).collect();
        cites.retain(|id| !id.is_empty());
        if let Some((_, Some(exchange))) = urls.first() {
            // The hop that carried the response stands last: the views mark it.
            cites.retain(|id| id != exchange);
            cites.push(exchange.clone());
        }
        let front_channel = front_channel_tokens(&params);
        let mut samples = self.world.samples();
        let alike = request.client == "main" && request.login == "silent" && request.get("client_id") == self.client_id("main");
        samples.codes.extend(code.clone().map(|code| (alike, code)));
        for hop in landing.hops.iter().filter(|hop| hop.url.starts_with("http:") && !ours(&hop.url)) {
            samples.in_clear.push((path_of(&hop.url).to_owned(), hop.exchange.clone()));
        }
        if reached.is_some() {
            samples.responses += 1;
        }
        for token in &front_channel {
            samples.leaks.push((token.clone(), cites.last().cloned().unwrap_or_default()));
        }
        drop(samples);
        let seen = AuthzSeen {
            what: what.to_owned(),
            outcome,
            error,
            iss: repeated(reached.as_deref(), "iss").unwrap_or_else(|| all("iss")),
            state_kept: reached.as_ref().map(|_| all("state") == [request.get("state")]),
            front_channel,
            at: match (&reached, &landing.error) {
                (Some(url), _) => path_of(url).to_owned(),
                (None, Some(error)) => error.clone(),
                (None, None) => format!("{} \u{201c}{}\u{201d}", path_of(&landing.url), landing.title),
            },
            status: landing.status,
            response_mode: if reached.is_some() { mode.to_owned() } else { String::new() },
            links_there: !request.get("redirect_uri").is_empty()
                && landing.html.contains(&format!("href=\"{}", request.get("redirect_uri"))),
            cites,
        };
        Authz { seen, code, state }
    }

    fn client_id(&self, name: &str) -> &str {
        self.world.client(name).map_or("", |client| client.id.as_str())
    }

    /// A host of the suite, or below one.
    pub fn is_suite_host(&self, host: &str) -> bool {
        let at = &self.world.target.counterpart;
        [&at.public_url, &at.sector_url]
            .iter()
            .filter_map(|url| host_of(url))
            .any(|own| host == own || host.ends_with(&format!(".{own}")))
            || host == OPEN_HOST
    }
}

/// A host of the suite under which nothing is registered anywhere: where open redirectors are sent.
pub const OPEN_HOST: &str = "open.ipsie-conform-probe.test";

/// Tokens in a front channel, by name, and signed JWTs in other parameters. A JWE of five parts is allowed, and `response`
/// (JARM) carries a code, not an assertion.
fn front_channel_tokens(params: &[(String, String)]) -> Vec<String> {
    params
        .iter()
        .filter_map(|(name, value)| match name.as_str() {
            "access_token" | "id_token" | "refresh_token" if value.split('.').count() != 5 => Some(name.clone()),
            "response" => None,
            _ if value.starts_with("eyJ") && value.split('.').count() == 3 => Some(format!("a signed JWT in `{name}`")),
            _ => None,
        })
        .collect()
}

/// Every value of a parameter in this URL's query and fragment, as often as it stands there; `None` where it does not.
fn repeated(url: Option<&str>, name: &str) -> Option<Vec<String>> {
    let url = Url::parse(url?).ok()?;
    let fragment = url.fragment().unwrap_or_default().to_owned();
    let pairs = url.query_pairs().into_owned().chain(url::form_urlencoded::parse(fragment.as_bytes()).into_owned());
    let values: Vec<String> = pairs.filter(|(key, _)| key == name).map(|(_, value)| value).collect();
    (!values.is_empty()).then_some(values)
}

/// A URL without query and fragment.
pub fn path_of(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// A URL's host.
pub fn host_of(url: &str) -> Option<String> {
    Url::parse(url).ok()?.host_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_jwt_in_the_front_channel_is_found_and_a_jwe_is_not() {
        let params = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        assert_eq!(front_channel_tokens(&params("id_token", "eyJh.b.c")), ["id_token"]);
        assert_eq!(front_channel_tokens(&params("id_token", "eyJh.b.c.d.e")), [""; 0]);
        assert_eq!(front_channel_tokens(&params("assertion", "eyJh.b.c")), ["a signed JWT in `assertion`"]);
        assert_eq!(front_channel_tokens(&params("response", "eyJh.b.c")), [""; 0]);
        assert_eq!(front_channel_tokens(&params("session_state", "abc")), [""; 0]);
    }
}
