//! The part of the target file that describes an application: `[app]` and `[commands]`.

use serde::{Deserialize, Serialize};

use super::target::{ClientAuth, Login};

/// The application under test. The suite plays its OpenID Provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct App {
    /// A URL that starts a login at the suite's provider when a browser opens it. Empty takes `protected_url`.
    pub start_url: String,
    /// A page that only signed-in users see.
    pub protected_url: String,
    /// `client_id` of the application at the suite's provider.
    pub client_id: String,
    /// `env:NAME` or `file:PATH` of its client secret, for the secret methods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
    /// How it is configured to authenticate at the token endpoint.
    pub auth: ClientAuth,
    /// The application's public keys: path of a JWK Set file (relative to the target file) or an https URL. Keys with `use` `enc` are for
    /// encrypted ID tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks: Option<String>,
    /// The redirect URIs an operator would register at the provider.
    pub redirect_uris: Vec<String>,
    /// Third-party initiated login endpoint (OIDC Core 4); empty where there is none.
    pub initiate_login_uri: String,
    /// Local logout; empty where there is none.
    pub logout_url: String,
    /// Names of parameters of start or logout URL that name a page to go to afterwards, besides the usual ones.
    pub return_parameters: Vec<String>,
    /// The one algorithm the application expects of an ID token: `ES256`, `PS256`, `EdDSA`, or `RS256`, which IPSIE does not allow.
    pub id_token_alg: String,
    /// What a user does at the application between `start_url` and the authorization request (an account chooser, a page that asks for
    /// an email address): explicit steps. `{username}` is the user's email address. Empty: the suite clicks the one button that the page
    /// offers, where there is exactly one that makes sense.
    pub login: Login,
    /// Users the provider signs in; empty lets the suite make up two, which needs just-in-time accounts.
    pub users: Vec<AppUser>,
    /// How a signed-in page is told from a signed-out one; all that are given must hold. None given: the suite calibrates itself.
    pub logged_in: Marker,
    /// Where a page says who is signed in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// A call bound to the browser's session, as the application's own scripts make it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiProbe>,
    /// A change that a signed-in user can make, and where it is read back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<WriteProbe>,
    /// Access and refresh tokens that the application itself issues to its users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<AppTokens>,
    /// Name of the cookie that carries the session; empty where the suite shall find it.
    pub session_cookie: String,
    /// Seconds by which the application may notice the end of a session late, at most 60.
    pub granularity_s: u64,
    /// `acr` the application demands; empty where it demands none. The provider then answers with it.
    pub required_acr: String,
    /// Value of the `tenant` claim that the provider sends; empty sends none.
    pub tenant: String,
    /// A second connection of the application, to the provider's second issuer (`counterpart.issuer` with `/second` at its end).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<SecondConnection>,
}

impl Default for App {
    fn default() -> Self {
        App {
            start_url: String::new(),
            protected_url: String::new(),
            client_id: String::new(),
            client_secret: None,
            auth: ClientAuth::ClientSecretBasic,
            jwks: None,
            redirect_uris: Vec::new(),
            initiate_login_uri: String::new(),
            logout_url: String::new(),
            return_parameters: Vec::new(),
            id_token_alg: "ES256".into(),
            login: Login::default(),
            users: Vec::new(),
            logged_in: Marker::default(),
            identity: None,
            api: None,
            write: None,
            tokens: None,
            session_cookie: String::new(),
            granularity_s: 0,
            required_acr: String::new(),
            tenant: String::new(),
            second: None,
        }
    }
}

impl App {
    /// Where a login starts.
    pub fn start(&self) -> &str {
        if self.start_url.is_empty() { &self.protected_url } else { &self.start_url }
    }
}

/// A user of the application, as the suite's provider presents it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppUser {
    /// `sub`.
    pub sub: String,
    /// `email`; sent as verified.
    pub email: String,
    /// `name`.
    pub name: String,
}

/// What a signed-in page shows.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Marker {
    /// CSS selector that matches an element.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// Text that the document contains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// HTTP status of the document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

impl Marker {
    /// Nothing is declared.
    pub fn is_empty(&self) -> bool {
        self.selector.is_none() && self.text.is_none() && self.status.is_none()
    }
}

/// Where a page says who is signed in: the text of an element that holds a stable account identifier, not a display name.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// The page; empty takes `protected_url`.
    pub url: String,
    /// CSS selector of the element with the account identifier, on the page of `url`.
    pub selector: String,
}

/// A call bound to the browser's session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiProbe {
    /// Answers a GET that carries the browser's cookies.
    pub url: String,
    /// Text that only the answer to a signed-in user holds; empty goes by status 200.
    pub text: String,
}

/// A change that a signed-in user can make.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WriteProbe {
    /// A page with the form.
    pub url: String,
    /// CSS selector of the text field that takes the new value; its form is submitted.
    pub field: String,
    /// A page of the same user that shows the value afterwards; empty takes `url`.
    pub read_url: String,
}

/// Tokens that the application issues to its users.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppTokens {
    /// In a signed-in browser session this URL answers with JSON that holds `access_token` and, where there is one, `refresh_token`.
    pub url: String,
    /// Answers 2xx to a GET with the access token as bearer token.
    pub api_url: String,
    /// Token endpoint of the application for `grant_type=refresh_token`; empty where it issues no refresh tokens.
    pub token_endpoint: String,
    /// `client_id` for that endpoint; empty sends none.
    pub client_id: String,
}

/// A second connection of the application.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecondConnection {
    /// A URL that starts a login at the second issuer.
    pub start_url: String,
    /// `client_id` at the second issuer.
    pub client_id: String,
    /// `env:NAME` or `file:PATH` of its client secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

/// Where the commands of SL2 go that the suite sends to an application.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Commands {
    /// The application's command endpoint (OpenID Provider Commands).
    pub command_endpoint: String,
    /// The application's `backchannel_logout_uri`.
    pub backchannel_logout_uri: String,
    /// The application insists on a `sid` in a logout token.
    pub session_required: bool,
    /// The application's global token revocation endpoint.
    pub revocation_endpoint: String,
    /// How a revocation request is authenticated.
    pub revocation_auth: RevocationAuth,
    /// `env:NAME` or `file:PATH` of the bearer token, for `bearer`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_token: Option<String>,
    /// `aud` of the signed JWT, for `jwt`; empty takes the endpoint.
    pub revocation_audience: String,
    /// `env:NAME` or `file:PATH` of the credential that belongs to the second issuer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second_revocation_token: Option<String>,
}

/// How a global token revocation request is authenticated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationAuth {
    /// A static bearer token.
    #[default]
    Bearer,
    /// A JWT signed by the provider, as bearer token.
    Jwt,
}
