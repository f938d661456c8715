//! What an application's target file must say so that a clause can be tested.

use crate::model::Clause;
use crate::model::target::{App, Target};

/// Names the missing key, where a need of a clause is not met. Needs that only the run can tell (whether the application uses DPoP,
/// refresh tokens, UserInfo, assertions) are met here; the checks say not-applicable.
pub fn missing(need: &str, clause: &Clause, target: &Target, app: &App) -> Option<String> {
    let absent = |is_absent: bool, key: &str| is_absent.then(|| format!("{key} is not configured"));
    if let Some(hook) = need.strip_prefix("admin-hook:") {
        return absent(!target.hooks.contains_key(hook), &format!("hooks.{hook}"));
    }
    match need {
        "login" => absent(app.protected_url.is_empty(), "app.protected_url"),
        "second-issuer" if clause.slug() == "discovery-issuer-mismatch" => {
            absent(app.second.is_none() && !target.hooks.contains_key("reload-metadata"), "app.second or hooks.reload-metadata")
        }
        "second-issuer" if clause.slug() == "gtr-tenant-bound" => {
            absent(target.commands.second_revocation_token.is_none(), "commands.second_revocation_token")
        }
        "second-issuer" => absent(app.second.is_none(), "app.second"),
        "identity-marker" => absent(app.identity.is_none(), "app.identity"),
        "api-probe" => absent(app.write.is_none(), "app.write"),
        "app-token" => absent(app.tokens.is_none(), "app.tokens"),
        "revocation-endpoint" => absent(target.commands.revocation_endpoint.is_empty(), "commands.revocation_endpoint"),
        "command-endpoint" => absent(target.commands.command_endpoint.is_empty(), "commands.command_endpoint"),
        _ => None,
    }
    .or_else(|| {
        let initiated = clause.slug().starts_with("third-party-") || clause.slug() == "initiated-login-own-transaction";
        absent(initiated && app.initiate_login_uri.is_empty(), "app.initiate_login_uri")
    })
}
