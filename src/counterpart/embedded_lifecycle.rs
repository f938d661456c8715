//! What a target file says about the accounts of the embedded application.

use super::{ProviderFor, at, at_api};
use crate::counterpart::app::{
    LOCAL_EMAIL, LOCAL_PASSWORD, LOCAL_SUB, ROLE_MAPPING, SCIM_BASE, SCIM_CLIENTS, SCIM_ISSUER, SCIM_TOKEN, role_catalogue,
};
use crate::counterpart::scim_server::Layout;
use crate::model::target::{
    Actor, AppAccounts, AppUser, Exposure, GroupRole, Lifecycle, Link, Scim, ScimAuth, Shown, Step, Surface, Way,
};

/// `sub` of its administrator at the first issuer.
pub const ADMIN: &str = "reference-administrator";

/// Its SCIM interface, and who provisions.
pub fn scim(provider: &ProviderFor) -> Scim {
    let fixed = provider.layout == Layout::Static;
    let issued = provider.layout == Layout::AppAs;
    let token = |name: &str| fixed.then(|| format!("embedded:{name}"));
    let client = |place: usize| if issued { SCIM_CLIENTS[place].to_owned() } else { String::new() };
    Scim {
        base_url: at_api(SCIM_BASE),
        auth: match provider.layout {
            Layout::Static => ScimAuth::Bearer,
            Layout::AppAs => ScimAuth::AppAs,
            Layout::IdpAs => ScimAuth::IdpAs,
        },
        token: token("scim-token"),
        issuer: if issued { at_api(SCIM_ISSUER) } else { String::new() },
        // The metadata name it too, but that is no demand.
        token_endpoint: if issued { at_api(SCIM_TOKEN) } else { String::new() },
        client_id: client(0),
        link: Link::ExternalId,
        second_token: token("second-scim-token"),
        second_client_id: client(1),
        disposable_tenant: "disposable".into(),
        ..Scim::default()
    }
}

/// How its groups and roles travel, and which there are.
pub fn lifecycle() -> Lifecycle {
    let mapping = |(group, role): (&str, &str)| GroupRole { group: group.to_owned(), role: role.to_owned() };
    Lifecycle {
        group_ways: vec![Way::Scim, Way::Claims, Way::Commands],
        role_ways: vec![Way::Scim, Way::Commands],
        roles_exposed: vec![Exposure::RolesResource, Exposure::SchemaValues, Exposure::OpCommands],
        roles: role_catalogue().into_iter().map(|role| role.value).collect(),
        mapping: ROLE_MAPPING.into_iter().map(mapping).collect(),
        ..Lifecycle::default()
    }
}

/// What its pages show and offer.
pub fn accounts() -> AppAccounts {
    let surfaces = [
        ("local-user-create", Actor::Admin, "/admin/users/new", &[("user-name", "{user_name}"), ("email", "{email}")][..]),
        ("local-profile-edit", Actor::User, "/account/edit", &[("display-name", "{value}")]),
        ("local-user-delete", Actor::Admin, "/admin/users/delete", &[("user-name", "{user_name}")]),
        ("local-group-edit", Actor::Admin, "/admin/groups/edit", &[("group", "{group}"), ("user-name", "{user_name}")]),
        ("local-role-edit", Actor::Admin, "/admin/roles/edit", &[("user-name", "{user_name}"), ("role", "{role}")]),
        ("signup", Actor::Nobody, "/signup", &[("email", "{email}")]),
        ("local-login", Actor::Nobody, "/local-login", &[("user-name", "{user_name}"), ("password", LOCAL_PASSWORD)]),
        ("password-reset", Actor::Nobody, "/password-reset", &[("email", "{email}")]),
    ];
    let script = |(name, actor, path, fields): (&str, Actor, &str, &[(&str, &str)])| {
        let fill = |(field, value): &(&str, &str)| Step::Fill { at: format!("#{field}"), with: (*value).to_owned() };
        let steps = fields.iter().map(fill).chain([Step::Click { at: "#go".into() }]).collect();
        (name.to_owned(), Surface { actor, url: at(path), steps })
    };
    let catalogue = Surface { actor: Actor::Admin, url: at("/admin/roles"), steps: Vec::new() };
    AppAccounts {
        admin: Some(AppUser {
            sub: ADMIN.into(),
            email: "administrator@ipsie-conform.test".into(),
            name: "Reference Administrator".into(),
        }),
        local_user: Some(AppUser { sub: LOCAL_SUB.into(), email: LOCAL_EMAIL.into(), name: "Local User".into() }),
        roles: Some(Shown { url: String::new(), selector: "#roles .role".into() }),
        profile: Some(Shown { url: String::new(), selector: "#name".into() }),
        other_api: at_api("/api/data"),
        surface: surfaces.into_iter().map(script).chain([("role-catalogue".to_owned(), catalogue)]).collect(),
    }
}
