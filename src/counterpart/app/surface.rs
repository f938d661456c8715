//! What people can try on the application's own pages although the identity service decides it: create, edit and delete users, edit
//! groups and roles, sign up, sign in without the identity service. The forms are there, and refuse.

use serde_json::{Value, json};

use super::App;
use super::defect::Defect;
use super::http::{In, Reply, get};
use super::login::{self, Start};
use super::people::TENANTS;
use super::session::{self, Use};
use super::state::{Account, Session};
use super::{local_user, pages, site};

/// Who may see a form.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Admin,
    User,
    Anybody,
}

/// A form: its address, who sees it, its title, and its fields with their labels.
struct Form {
    path: &'static str,
    who: Who,
    title: &'static str,
    fields: &'static [(&'static str, &'static str)],
}

const USER: (&str, &str) = ("user-name", "User name");
const NAME: (&str, &str) = ("display-name", "Display name");
const EMAIL: (&str, &str) = ("email", "Email");

const FORMS: &[Form] = &[
    Form { path: "/admin/users/new", who: Who::Admin, title: "Create a user", fields: &[USER, EMAIL, NAME] },
    Form { path: "/admin/users/edit", who: Who::Admin, title: "Edit a user", fields: &[USER, NAME] },
    Form { path: "/admin/users/delete", who: Who::Admin, title: "Delete a user", fields: &[USER] },
    Form { path: "/admin/groups/edit", who: Who::Admin, title: "Add to a group", fields: &[("group", "Group"), USER] },
    Form { path: "/admin/roles/edit", who: Who::Admin, title: "Give a role", fields: &[USER, ("role", "Role")] },
    Form { path: "/account/edit", who: Who::User, title: "Edit your profile", fields: &[NAME] },
    Form { path: "/account/close", who: Who::User, title: "Close your account", fields: &[] },
    Form { path: "/signup", who: Who::Anybody, title: "Sign up", fields: &[EMAIL] },
    Form { path: "/local-login", who: Who::Anybody, title: "Sign in with a password", fields: &[USER, ("password", "Password")] },
    Form { path: "/password-reset", who: Who::Anybody, title: "Reset your password", fields: &[EMAIL] },
];

/// Answers what belongs to these pages; `None` for anything else.
pub async fn answer(app: &App, request: &In) -> Option<Reply> {
    if request.method == "GET" && ["/admin/roles", "/admin/log"].contains(&request.path.as_str()) {
        if let Err(reply) = visitor(app, request, Who::Admin).await {
            return Some(*reply);
        }
        let state = app.lock();
        let page = if request.path == "/admin/log" { pages::log(&state.audit) } else { pages::catalogue(&state.catalogue) };
        return Some(Reply::page(200, page));
    }
    let form = FORMS.iter().find(|form| form.path == request.path)?;
    let visitor = match visitor(app, request, form.who).await {
        Ok(visitor) => visitor,
        Err(reply) => return Some(*reply),
    };
    let csrf = visitor.as_ref().map_or("", |(session, _)| session.csrf.as_str());
    match request.method.as_str() {
        "GET" => Some(Reply::page(200, pages::form(form.title, form.path, csrf, form.fields))),
        "POST" if get(&request.form, "csrf").unwrap_or_default() != csrf => {
            Some(Reply::page(403, pages::error("The form is out of date.")))
        }
        "POST" => Some(submitted(app, request, form.path, visitor.map(|(_, account)| account)).await),
        _ => None,
    }
}

/// The session that a form needs, where it needs one.
async fn visitor(app: &App, request: &In, who: Who) -> Result<Option<(Session, Account)>, Box<Reply>> {
    if who == Who::Anybody {
        return Ok(None);
    }
    let use_ = if request.method == "POST" { Use::Write } else { Use::Page };
    let Some((_, session, account)) = session::current(app, request, use_).await else {
        return Err(Box::new(site::signed_out(app, request, &request.path).await));
    };
    let own_tenant = session.connection == 0 && session.tenant.as_deref().unwrap_or_default() == app.config.tenant;
    if who == Who::Admin && !(own_tenant && session.sub == app.config.admin) {
        return Err(Box::new(Reply::page(403, pages::error("Only the administrator may do that."))));
    }
    Ok(Some((session, account)))
}

fn refused() -> Reply {
    Reply::page(403, pages::error("The identity service of the organisation decides that; it cannot be changed here."))
}

fn done(text: &str) -> Reply {
    Reply::page(200, pages::done(text))
}

async fn submitted(app: &App, request: &In, path: &str, account: Option<Account>) -> Reply {
    let field = |name: &str| get(&request.form, name).unwrap_or_default().trim();
    let own = account.map(|account| account.id).unwrap_or_default();
    let named = || user_id(app, field("user-name"));
    match path {
        "/admin/users/new" if app.has(Defect::LocalCreateRefused) => create(app, field("user-name"), field("email")),
        "/admin/users/edit" | "/account/edit" if app.has(Defect::LocalUpdateRefused) || app.has(Defect::CmdAuditModified) => {
            let id = if path == "/account/edit" { Some(own) } else { named() };
            let name = field("display-name").to_owned();
            found(id.is_some_and(|id| app.scim.change_user(&id, |user| user["displayName"] = name.into())))
        }
        "/admin/users/delete" if app.has(Defect::LocalDeleteRefused) => {
            found(named().is_some_and(|id| app.scim.remove_user(&id)))
        }
        "/account/close" if app.has(Defect::LocalDeleteRefused) => found(app.scim.remove_user(&own)),
        "/admin/groups/edit" if app.has(Defect::LocalGroupEditRefused) => found(join_group(app, field("group"), named())),
        "/admin/roles/edit" => give_role(app, field("role"), named()),
        "/signup" if app.has(Defect::SelfSignupRefused) => create(app, field("email"), field("email")),
        // Whose account it will be, the identity service says.
        "/signup" => {
            let hints = vec![("login_hint", field("email").to_owned())];
            login::begin(app, request, Start { return_to: app.url("/protected"), hints, ..Start::default() }).await
        }
        "/local-login" | "/password-reset" => {
            if path == "/local-login"
                && let Some(reply) = local_user::sign_in(app, field("user-name"), field("password"))
            {
                return reply;
            }
            let name = if path == "/local-login" { field("user-name") } else { field("email") };
            without_identity_service(app, name)
        }
        _ => refused(),
    }
}

fn found(found: bool) -> Reply {
    if found { done("That is done.") } else { Reply::page(404, pages::error("There is no such user or group.")) }
}

/// The user of the first tenant with this user name, address or id.
fn user_id(app: &App, name: &str) -> Option<String> {
    let by = |attribute| app.scim.find_user(TENANTS[0], attribute, name);
    let user = by("userName").or_else(|| by("emails")).or_else(|| app.scim.user(name))?;
    user["id"].as_str().map(str::to_owned)
}

fn create(app: &App, user_name: &str, email: &str) -> Reply {
    app.scim.put_user(
        TENANTS[0],
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": user_name, "active": true,
            "emails": [{"value": email, "type": "work", "primary": true}],
        }),
    );
    done("The account is there.")
}

fn join_group(app: &App, name: &str, user: Option<String>) -> bool {
    let groups = app.scim.groups(TENANTS[0]);
    let group = groups.iter().find(|group| group["displayName"] == name || group["id"] == name);
    let (Some(id), Some(user)) = (group.and_then(|group| group["id"].as_str()), user) else { return false };
    app.scim.change_group(id, |group| {
        let mut members = group["members"].as_array().cloned().unwrap_or_default();
        members.push(json!({"value": user, "type": "User"}));
        group["members"] = Value::Array(members);
    })
}

fn give_role(app: &App, name: &str, user: Option<String>) -> Reply {
    let known =
        app.lock().catalogue.iter().find(|role| role.value == name || role.display == name).map(|role| role.value.clone());
    let (Some(role), Some(user)) = (known, user) else { return refused() };
    let assigned = app.scim.roles_of(&user);
    if app.has(Defect::LocalRoleChangeRefused) {
        return found(app.scim.change_user(&user, |user| {
            let mut roles = user["roles"].as_array().cloned().unwrap_or_default();
            roles.push(json!({"value": role}));
            user["roles"] = Value::Array(roles);
        }));
    }
    if app.has(Defect::MappingNotClientSupplied) && assigned.is_empty() {
        app.lock().local_roles.entry(user).or_default().insert(role);
        return done("The role is given.");
    }
    refused()
}

/// Managed users have no password. Under the defect those who are suspended come in all the same.
fn without_identity_service(app: &App, name: &str) -> Reply {
    let message = "Users of the organisation sign in at its identity service.";
    let suspended = user_id(app, name).filter(|id| app.lock().suspended.contains(id));
    let Some(id) = suspended.filter(|_| app.has(Defect::NoBypassSignin)) else {
        return Reply::page(403, pages::error(message));
    };
    let mut state = app.lock();
    let issuer = app.config.issuer.clone();
    let account = state.accounts.entry(id.clone()).or_insert_with(|| Account {
        id: id.clone(),
        issuer,
        managed: true,
        ..Account::default()
    });
    let account = account.clone();
    local_user::begin(app, &mut state, &account, true)
}
