//! What a clause needs, in the words of the target file.

use serde::Serialize;

use super::needs_accounts::OF_ACCOUNTS;
use crate::model::Role;

/// A need with the target-file keys that meet it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Need {
    /// Its name in the catalogue.
    pub need: &'static str,
    /// Keys of the target file; empty where nothing is to be configured.
    pub keys: &'static [&'static str],
    /// What it means.
    pub meaning: &'static str,
}

const KNOWN: [Need; 29] = [
    Need {
        need: "login",
        keys: &["idp.clients.main", "idp.users"],
        meaning: "A registered client and a test user who can sign in.",
    },
    Need {
        need: "mfa-login",
        keys: &["idp.clients.main", "idp.users", "idp.acr_mfa"],
        meaning: "A test user who signs in with two factors (a one-time code from totp, or a passkey).",
    },
    Need { need: "user-password", keys: &["idp.users"], meaning: "A test user with a password." },
    Need {
        need: "client-auth-jwt",
        keys: &["idp.clients.main", "counterpart.keys"],
        meaning: "The main client authenticates with auth = \"private_key_jwt\".",
    },
    Need { need: "second-client", keys: &["idp.clients.second"], meaning: "A second confidential client." },
    Need {
        need: "encryption-client",
        keys: &["idp.clients.encrypted", "counterpart.keys"],
        meaning: "A client whose ID tokens are encrypted for the suite's key `enc`.",
    },
    Need {
        need: "refresh-token",
        keys: &["idp.offline_scope", "idp.offline_consent"],
        meaning: "The product gives refresh tokens to the suite's clients; not applicable where it gives none.",
    },
    Need { need: "dpop", keys: &[], meaning: "The product announces DPoP; not applicable where it does not." },
    Need {
        need: "par",
        keys: &[],
        meaning: "The product announces pushed authorization requests; not applicable where it does not.",
    },
    Need { need: "tls", keys: &["network.ca_file", "network.resolve"], meaning: "TLS connections to the product's hosts." },
    Need { need: "dns", keys: &["network.resolver"], meaning: "A validating DNS resolver; the system's, unless one is named." },
    Need { need: "identity-marker", keys: &["app.identity_marker"], meaning: "What shows at the application who is signed in." },
    Need { need: "second-issuer", keys: &[], meaning: "The application accepts a second issuer of the suite." },
    Need {
        need: "admin-hook:disable-user",
        keys: &["hooks.disable-user", "hooks.enable-user"],
        meaning: "The operator's side disables a user, and enables the user again.",
    },
    Need {
        need: "admin-hook:register-client",
        keys: &["hooks.register-client", "hooks.unregister-client"],
        meaning: "The operator's side registers a client with a given redirect URI, and removes it.",
    },
    Need {
        need: "admin-hook:portal-launch",
        keys: &["hooks.portal-launch"],
        meaning: "Answers the URL that the product's portal opens for an application.",
    },
    Need {
        need: "admin-hook:set-session-lifetime",
        keys: &["hooks.set-session-lifetime"],
        meaning: "The operator's side sets the lifetime of sessions.",
    },
    Need {
        need: "acr-classes",
        keys: &["idp.classes", "idp.classes_by"],
        meaning: "Classes of authentication that can be requested, weakest first, with their factors.",
    },
    Need {
        need: "low-class-login",
        keys: &["idp.classes"],
        meaning: "A login that meets the lowest declared class only; inconclusive where every login meets the highest one.",
    },
    Need { need: "second-user", keys: &["idp.users"], meaning: "A second test user." },
    Need {
        need: "admin-hook:revoke-user-sessions",
        keys: &["hooks.revoke-user-sessions"],
        meaning: "The operator's side revokes all sessions and tokens of a user. The hook is told {user}, {sub}, {client_id}, {binding} and \
                  {receiver}, the address and port at which the suite's endpoints listen.",
    },
    Need {
        need: "session-command",
        keys: &["target.bindings", "commands"],
        meaning: "A declared delivery binding with its endpoint at the application.",
    },
    Need {
        need: "command-endpoint",
        keys: &["commands.command_endpoint"],
        meaning: "The application's command endpoint (OpenID Provider Commands).",
    },
    Need {
        need: "backchannel-endpoint",
        keys: &["commands.backchannel_logout_uri"],
        meaning: "The application's back-channel logout endpoint.",
    },
    Need {
        need: "revocation-endpoint",
        keys: &["commands.revocation_endpoint", "commands.revocation_auth"],
        meaning: "The application's global token revocation endpoint.",
    },
    Need { need: "app-token", keys: &["app.tokens"], meaning: "Tokens that the application itself issues to its users." },
    Need { need: "api-probe", keys: &["app.api"], meaning: "A call bound to the browser's session at the application." },
    Need { need: "stream", keys: &[], meaning: "An event stream (SSF); this version tests none." },
    Need {
        need: "admin-hook:reload-metadata",
        keys: &["hooks.reload-metadata"],
        meaning: "The operator's side makes the application read the suite's metadata again.",
    },
];

/// What the same names mean at an application, where the suite plays the provider.
const OF_APPLICATIONS: [Need; 11] = [
    Need {
        need: "login",
        keys: &["app.protected_url", "app.client_id", "app.start_url", "app.login.steps", "counterpart.issuer", "counterpart.ca"],
        meaning: "The application signs in at the suite's provider; start_url and login.steps only where a login does not start at \
                  protected_url by itself.",
    },
    Need {
        need: "client-auth-jwt",
        keys: &["app.auth", "app.jwks"],
        meaning: "The application authenticates with auth = \"private_key_jwt\"; not applicable where it does otherwise.",
    },
    Need {
        need: "encryption-client",
        keys: &["app.jwks"],
        meaning: "A public key of the application with use \"enc\", for encrypted ID tokens; not applicable without one.",
    },
    Need {
        need: "refresh-token",
        keys: &[],
        meaning: "The application asks for refresh tokens and uses them; not applicable where it does not.",
    },
    Need { need: "dpop", keys: &[], meaning: "The application sends DPoP proofs; not applicable where it does not." },
    Need {
        need: "tls",
        keys: &["counterpart.op_listen", "network.ca_file", "network.resolve"],
        meaning: "TLS connections in both directions: the application's own, and those to the suite's provider.",
    },
    Need {
        need: "identity-marker",
        keys: &["app.identity"],
        meaning: "Page (url) and element (selector) that show the account identifier of who is signed in.",
    },
    Need {
        need: "second-issuer",
        keys: &["app.second", "commands.second_revocation_token", "hooks.reload-metadata"],
        meaning: "A second connection of the application, to the suite's second issuer (counterpart.issuer with /second at its end).",
    },
    Need {
        need: "second-user",
        keys: &["app.users"],
        meaning: "Two users; without the key the suite makes up two, which needs accounts that are created at the first login.",
    },
    Need {
        need: "api-probe",
        keys: &["app.write", "app.api"],
        meaning: "A change that a signed-in user can make and read back, and a call bound to the browser's session.",
    },
    Need {
        need: "app-token",
        keys: &["app.tokens"],
        meaning: "Access and refresh tokens that the application itself issues to its users; where it issues none, state so in attest.",
    },
];

/// A need of the clauses of a role by its name.
pub fn need(name: &str, role: Role) -> Option<&'static Need> {
    let theirs = OF_APPLICATIONS.iter().find(|need| role == Role::App && need.need == name);
    theirs.or_else(|| KNOWN.iter().chain(&OF_ACCOUNTS).find(|need| need.need == name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    #[test]
    fn an_application_is_told_keys_of_its_own_table() {
        let catalogue = Catalogue::embedded().unwrap();
        for clause in catalogue.clauses.iter().filter(|clause| clause.role == Role::App) {
            for name in &clause.needs {
                let keys = need(name, Role::App).unwrap().keys;
                assert!(!keys.iter().any(|key| key.starts_with("idp.")), "{}: {name}: {keys:?}", clause.id);
            }
        }
    }

    #[test]
    fn every_need_of_the_catalogue_is_explained() {
        for clause in Catalogue::embedded().unwrap().clauses {
            for name in &clause.needs {
                assert!(need(name, clause.role).is_some(), "{}: {name}", clause.id);
            }
        }
    }
}
