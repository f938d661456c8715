//! The table of all suites: one file = one scenario, the type of what it saw, and the checks on it.

mod account_blocks;
mod account_drive;
pub mod account_groups;
pub mod account_joiner;
pub mod account_leaver;
pub mod account_roles;
pub mod account_surface;
pub mod app_command;
pub mod app_discovery;
pub mod app_dpop_nonce;
pub mod app_forgery;
pub mod app_idtoken;
pub mod app_login;
pub mod app_methods;
pub mod app_probe;
pub mod app_response;
pub mod app_session;
pub mod app_subject;
pub mod app_thirdparty;
pub mod app_tls;
pub mod app_unsolicited;
mod blocks;
pub mod command_accounts;
pub mod idp_acr;
pub mod idp_admin;
pub mod idp_client_auth;
pub mod idp_commands;
pub mod idp_expiry;
pub mod idp_login;
pub mod idp_max_age;
pub mod idp_mfa;
pub mod idp_probe;
pub mod idp_public;
pub mod idp_reauth;
pub mod idp_redirector;
pub mod idp_samples;
pub mod idp_second;
pub mod idp_sso;
pub mod network;
pub mod provision;
pub mod scim_blocks;
pub mod scim_channel;
pub mod scim_create;
pub mod scim_groups;
pub mod scim_inventory;
pub mod scim_load;
pub mod scim_roles;
pub mod scim_suspend;
pub mod scim_tenants;
pub mod scim_token;
pub mod scim_update;

use crate::suite::{Of, Suite};

/// Every suite, aligned by level and role, in the order in which reports list them.
#[rustfmt::skip]
static ALL: &[&dyn Suite] = &[
    // level  role  scenario
    /* SL1    idp  */ &Of::<idp_probe::metadata::Metadata>::new(),
    /* SL1    idp  */ &Of::<idp_probe::transport::Transport>::new(),
    /* SL1    idp  */ &Of::<idp_probe::front::Front>::new(),
    /* SL1    idp  */ &Of::<idp_probe::grants::Grants>::new(),
    /* SL1    idp  */ &Of::<idp_client_auth::ClientAuthentication>::new(),
    /* SL1    idp  */ &Of::<idp_login::Login>::new(),
    /* SL1    idp  */ &Of::<idp_expiry::Expiry>::new(),
    /* SL1    idp  */ &Of::<idp_sso::requests::Requests>::new(),
    /* SL1    idp  */ &Of::<idp_sso::pkce::Pkce>::new(),
    /* SL1    idp  */ &Of::<idp_sso::redirects::Redirects>::new(),
    /* SL1    idp  */ &Of::<idp_sso::codes::Codes>::new(),
    /* SL1    idp  */ &Of::<idp_sso::dpop::SenderConstraint>::new(),
    /* SL1    idp  */ &Of::<idp_sso::refresh::Refresh>::new(),
    /* SL1    idp  */ &Of::<idp_sso::session::Session>::new(),
    /* SL1    idp  */ &Of::<idp_sso::par::Pushed>::new(),
    /* SL1    idp  */ &Of::<idp_public::PublicClient>::new(),
    /* SL1    idp  */ &Of::<idp_second::Second>::new(),
    /* SL1    idp  */ &Of::<idp_max_age::MaxAge>::new(),
    /* SL1    idp  */ &Of::<idp_mfa::Mfa>::new(),
    /* SL1    idp  */ &Of::<idp_redirector::LoginPages>::new(),
    /* SL1    idp  */ &Of::<idp_admin::Admin>::new(),
    /* SL1    idp  */ &Of::<idp_redirector::Logout>::new(),
    /* SL1    idp  */ &Of::<idp_samples::Samples>::new(),
    /* SL1    idp  */ &Of::<idp_probe::announcements::Announcements>::new(),
    /* SL2    idp  */ &Of::<idp_acr::Acr>::new(),
    /* SL2    idp  */ &Of::<idp_reauth::Reauth>::new(),
    /* SL2    idp  */ &Of::<idp_commands::CommandsSent>::new(),
    /* SL2    idp  */ &Of::<idp_probe::classes::Classes>::new(),
    /* AL1    idp  */ &Of::<provision::leaver::Leaver>::new(),
    /* AL1    idp  */ &Of::<provision::token::Tokens>::new(),
    /* AL1    idp  */ &Of::<provision::faults::Faults>::new(),
    /* AL1    idp  */ &Of::<provision::commands::Commands>::new(),
    /* AL1    idp  */ &Of::<provision::sign_in::SignIn>::new(),
    /* AL1    idp  */ &Of::<provision::last::Last>::new(),
    /* AL2    idp  */ &Of::<provision::joiner::Joiner>::new(),
    /* AL2    idp  */ &Of::<provision::groups::Groups>::new(),
    /* AL2    idp  */ &Of::<provision::sync::Sync>::new(),
    /* AL2    idp  */ &Of::<provision::large_group::LargeGroup>::new(),
    /* AL3    idp  */ &Of::<provision::roles::Roles>::new(),
    /* SL1    app  */ &Of::<app_probe::Probe>::new(),
    /* SL1    app  */ &Of::<app_tls::Tls>::new(),
    /* SL1    app  */ &Of::<app_idtoken::IdTokens>::new(),
    /* SL1    app  */ &Of::<app_subject::Subjects>::new(),
    /* SL1    app  */ &Of::<app_login::Login>::new(),
    /* SL1    app  */ &Of::<app_response::Response>::new(),
    /* SL1    app  */ &Of::<app_session::Session>::new(),
    /* SL1    app  */ &Of::<app_thirdparty::ThirdParty>::new(),
    /* SL1    app  */ &Of::<app_thirdparty::redirector::Redirector>::new(),
    /* SL1    app  */ &Of::<app_dpop_nonce::Nonces>::new(),
    /* SL1    app  */ &Of::<app_discovery::Discovery>::new(),
    /* SL2    app  */ &Of::<app_unsolicited::Unsolicited>::new(),
    /* SL2    app  */ &Of::<app_methods::Methods>::new(),
    /* SL2    app  */ &Of::<app_forgery::commands::ForgedCommands>::new(),
    /* SL2    app  */ &Of::<app_forgery::logout::ForgedLogouts>::new(),
    /* SL2    app  */ &Of::<app_forgery::revocation::ForgedRevocations>::new(),
    /* SL2    app  */ &Of::<app_command::AppCommand<app_command::delivery::OpCommands>>::new(),
    /* SL2    app  */ &Of::<app_command::AppCommand<app_command::delivery::BackchannelLogout>>::new(),
    /* SL2    app  */ &Of::<app_command::AppCommand<app_command::delivery::TokenRevocation>>::new(),
    /* AL1    app  */ &Of::<scim_channel::Channel>::new(),
    /* AL1    app  */ &Of::<scim_token::Tokens>::new(),
    /* AL1    app  */ &Of::<scim_tenants::Tenants>::new(),
    /* AL1    app  */ &Of::<scim_inventory::Inventory>::new(),
    /* AL1    app  */ &Of::<scim_suspend::Suspend>::new(),
    /* AL1    app  */ &Of::<scim_load::Load>::new(),
    /* AL2    app  */ &Of::<scim_create::Create>::new(),
    /* AL2    app  */ &Of::<scim_update::Update>::new(),
    /* AL2    app  */ &Of::<scim_groups::Groups>::new(),
    /* AL3    app  */ &Of::<scim_roles::Roles>::new(),
    /* AL1    app  */ &Of::<command_accounts::states::States>::new(),
    /* AL1    app  */ &Of::<command_accounts::forgery::ForgedAccountCommands>::new(),
    /* AL1    app  */ &Of::<command_accounts::tenant::Tenant>::new(),
    /* AL1    app  */ &Of::<command_accounts::callback::Later>::new(),
    /* AL2    app  */ &Of::<command_accounts::profile::Profile>::new(),
    /* AL2    app  */ &Of::<command_accounts::sign_in::SignIns>::new(),
    /* AL1    app  */ &Of::<account_leaver::Leaver>::new(),
    /* AL2    app  */ &Of::<account_joiner::Joiner>::new(),
    /* AL2    app  */ &Of::<account_surface::AccountSurface>::new(),
    /* AL2    app  */ &Of::<account_groups::AccountGroups>::new(),
    /* AL3    app  */ &Of::<account_roles::AccountRoles>::new(),
];

/// The table.
pub fn all() -> &'static [&'static dyn Suite] {
    ALL
}

/// Scenarios that others start from: played also when none of their own clauses was asked for.
pub fn is_base(scenario: &str) -> bool {
    scenario == "idp-login"
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::suite::comes_after;

    #[test]
    fn every_scenario_gets_its_turn() {
        let mut ended = BTreeSet::new();
        loop {
            let ready: Vec<&str> = all()
                .iter()
                .filter(|suite| !ended.contains(suite.id()))
                .filter(|suite| all().iter().all(|other| !comes_after(**suite, *other) || ended.contains(other.id())))
                .map(|suite| suite.id())
                .collect();
            if ready.is_empty() {
                break;
            }
            ended.extend(ready);
        }
        let stuck: Vec<&str> = all().iter().map(|suite| suite.id()).filter(|id| !ended.contains(id)).collect();
        assert!(stuck.is_empty(), "these wait for each other: {}", stuck.join(", "));
    }

    #[test]
    fn every_term_names_a_scenario() {
        for suite in all() {
            for term in suite.after().iter().filter(|term| **term != "*") {
                let name = term.strip_prefix('-').unwrap_or(term);
                assert!(all().iter().any(|other| other.id() == name), "{}: {term}", suite.id());
                assert!(!term.starts_with('-') || suite.after().contains(&"*"), "{}: {term} without *", suite.id());
            }
        }
    }

    #[test]
    fn a_star_stands_for_all_that_do_not_say_it_themselves() {
        let named = |id: &str| *all().iter().find(|suite| suite.id() == id).unwrap();
        assert!(comes_after(named("app-login"), named("app-session")));
        assert!(comes_after(named("app-tls"), named("app-subject")));
        assert!(!comes_after(named("app-tls"), named("app-session")));
        assert!(!comes_after(named("app-tls"), named("app-login")));
    }
}
