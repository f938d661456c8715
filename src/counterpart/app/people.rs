//! Accounts as the identity service manages them: the SCIM engine holds them, a sign-in finds them by `externalId`, and what SCIM does to
//! them ends sessions and tokens at once.
//!
//! An account that is managed has the id of its SCIM user. People of tenants that nobody provisions have accounts of their own. Locks are
//! taken in one order: the application's state before the engine's; whatever changes the engine is called without the state's lock,
//! because the engine tells its listeners, and those look at the state.

use serde_json::{Value, json};

use super::App;
use super::accounts::{self, Person};
use super::defect::Defect;
use super::state::{Account, Standing, State};
use crate::counterpart::scim_server::Change;

/// The SCIM tenants, each with a provisioning client of its own: users of the first and of the second issuer.
pub const TENANTS: [&str; 2] = ["first", "second"];

/// The SCIM tenant of people of this connection and this tenant in the ID token; none where nobody provisions.
pub fn tenant_of(app: &App, connection: usize, tenant: Option<&str>) -> Option<&'static str> {
    let own = tenant.unwrap_or_default() == app.config.tenant;
    TENANTS.get(connection).copied().filter(|_| own)
}

/// The id of the SCIM user that signs in, who is made when there is none; `None` where the account is no matter of SCIM, or is known.
///
/// # Errors
/// Why there is no account for that person: it was deleted.
pub fn join(app: &App, person: &Person) -> Result<Option<String>, String> {
    let Some(tenant) = app.connection(&person.issuer).and_then(|found| tenant_of(app, found, person.tenant.as_deref())) else {
        return Ok(None);
    };
    // One at a time, so that two sign-ins at once make one account.
    let _turn = app.joining.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let known = {
        let state = app.lock();
        accounts::find(app, &state, person).and_then(|id| state.accounts.get(&id).cloned())
    };
    if let Some(known) = known {
        if known.managed {
            take_claims(app, &known, person);
            reactivate(app, &known.id);
        }
        return Ok(None);
    }
    if let Some(user) = app.scim.find_user(tenant, "externalId", &person.sub) {
        let id = user["id"].as_str().unwrap_or_default().to_owned();
        if app.has(Defect::CreatedUserSignsIn) {
            app.scim.put_user(tenant, newcomer(app, tenant, person, true));
        }
        take_claims(app, &Account { id: id.clone(), ..Account::default() }, person);
        reactivate(app, &id);
        return Ok(Some(id));
    }
    if app.lock().deleted.contains(&(tenant, person.sub.clone())) {
        return Err("the account was deleted".into());
    }
    if app.has(Defect::JitUserIsManaged) {
        return Ok(None);
    }
    let id = app.scim.put_user(tenant, newcomer(app, tenant, person, false));
    app.lock().just_in_time.insert(id.clone());
    Ok(Some(id).filter(|id| !id.is_empty()))
}

/// The SCIM user of somebody who signs in for the first time. `userName` stays unique, but for the defect's second account.
fn newcomer(app: &App, tenant: &str, person: &Person, second: bool) -> Value {
    let names = person.email.iter().chain([&person.sub]);
    let mut free = names.clone().filter(|name| second || app.scim.find_user(tenant, "userName", name).is_none());
    let name = free.next().cloned().unwrap_or_else(|| crate::wire::jose::random(12));
    let mut user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name, "externalId": person.sub, "active": true,
    });
    if let Some(name) = &person.name {
        user["displayName"] = name.as_str().into();
    }
    if let Some(email) = &person.email {
        user["emails"] = json!([{"value": email, "type": "work", "primary": true}]);
    }
    user
}

/// A user of the first tenant who never signs in.
pub fn inhabitant(app: &App, number: usize) {
    let address = format!("inhabitant-{number}@ipsie-conform-target.test");
    app.scim.put_user(
        TENANTS[0],
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": address, "active": true,
            "externalId": format!("inhabitant-{number}"), "displayName": format!("Inhabitant {number}"),
            "emails": [{"value": address, "type": "work", "primary": true}],
        }),
    );
}

/// Takes newer claims over older claims, never over what was provisioned.
fn take_claims(app: &App, known: &Account, person: &Person) {
    let Some(user) = app.scim.user(&known.id) else { return };
    let just_in_time = app.lock().just_in_time.contains(&known.id);
    let (name, email) = (display_name(&user), email(&user));
    let over_claim = |now: &Option<String>, claim: &Option<String>| just_in_time && now == claim;
    let new_name = person
        .name
        .clone()
        .filter(|new| name.as_ref() != Some(new) && (over_claim(&name, &known.name) || app.has(Defect::JitDoesNotOverwrite)));
    let new_email = person.email.clone().filter(|new| email.as_ref() != Some(new) && over_claim(&email, &known.email));
    if new_name.is_none() && new_email.is_none() {
        return;
    }
    app.scim.change_user(&known.id, |user| {
        if let Some(name) = new_name {
            user["displayName"] = name.into();
        }
        if let Some(email) = new_email {
            user["emails"] = json!([{"value": email, "type": "work", "primary": true}]);
        }
    });
}

/// The defect of signin-refused: a sign-in makes a suspended account active.
fn reactivate(app: &App, id: &str) {
    if app.has(Defect::SigninRefused) && app.lock().suspended.contains(id) && active(app, id) == Some(false) {
        app.scim.change_user(id, |user| user["active"] = true.into());
    }
}

/// `active` of a SCIM user, which is the default; `None` when there is no such user.
fn active(app: &App, id: &str) -> Option<bool> {
    app.scim.user(id).map(|user| user["active"] != false)
}

/// May the account sign in?
pub fn may_sign_in(app: &App, state: &State, id: &str) -> bool {
    let suspended = state.suspended.contains(id);
    let usable = |account: &Account| !account.managed && account.standing == Standing::Active;
    state.accounts.get(id).is_none_or(usable)
        || active(app, id) == Some(true)
        || (suspended && app.has(Defect::AnyOneWay))
        || (!suspended && app.has(Defect::NoSigninBeforeActive))
}

/// May what the account has still be used?
pub fn may_go_on(app: &App, state: &State, id: &str) -> bool {
    may_sign_in(app, state, id) || (state.suspended.contains(id) && app.has(Defect::SessionEnds))
}

/// What SCIM, an administrator or a sign-in did to a user or group: access that is no longer due ends here.
pub fn changed(app: &App, change: &Change) {
    if change.resource == "User" {
        user_changed(app, change);
    } else {
        super::roles::group_changed(app, change);
    }
}

fn user_changed(app: &App, change: &Change) {
    let is_active = |user: &Option<Value>| user.as_ref().map(|user| user["active"] != false);
    let (before, after) = (is_active(&change.before), is_active(&change.after));
    let id = &change.id;
    if before == Some(true) && after != Some(true) {
        end_access(app, change, after.is_none());
    } else if before.is_some() && after.is_none() {
        bury(app, &mut app.lock(), change);
    }
    if let (Some(was), Some(is)) = (&change.before, &change.after) {
        if was["externalId"] != is["externalId"]
            && let Some(account) = app.lock().accounts.get_mut(id)
        {
            account.sub = is["externalId"].as_str().unwrap_or_default().to_owned();
        }
        super::roles::user_changed(app, id, was, is);
    }
}

/// Sessions and own tokens end for ever: a later activation finds none.
fn end_access(app: &App, change: &Change, gone: bool) {
    let id = &change.id;
    let mut state = app.lock();
    state.suspended.insert(id.clone());
    if app.has(Defect::AnyOneWay) {
        return;
    }
    if !app.has(Defect::ReactivationRevivesNoSession) {
        if !app.has(Defect::SessionEnds) {
            state.sessions.retain(|_, session| session.account != *id);
        }
        state.access_tokens.retain(|_, token| token.account != *id);
        if !app.has(Defect::AccessMechanisms) {
            state.refresh_tokens.retain(|_, token| token.account != *id);
        }
    }
    if gone {
        bury(app, &mut state, change);
    }
}

/// A deleted account stays deleted: a sign-in does not make it anew, only the identity service does.
fn bury(app: &App, state: &mut State, change: &Change) {
    let tenant = TENANTS.iter().find(|tenant| **tenant == change.tenant);
    let sub = change.before.as_ref().and_then(|user| user["externalId"].as_str());
    if let (Some(tenant), Some(sub)) = (tenant, sub)
        && !app.has(Defect::AnyOneWay)
    {
        state.deleted.insert((tenant, sub.to_owned()));
    }
    state.accounts.remove(&change.id);
}

/// What pages say about a user of SCIM.
pub fn display_name(user: &Value) -> Option<String> {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let name = &user["name"];
    text(&user["displayName"]).or_else(|| text(&name["formatted"])).or_else(|| {
        let parts: Vec<String> = [text(&name["givenName"]), text(&name["familyName"])].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    })
}

fn email(user: &Value) -> Option<String> {
    let all = user["emails"].as_array()?;
    let chosen = all.iter().find(|email| email["primary"] == true).or_else(|| all.first())?;
    chosen["value"].as_str().map(str::to_owned)
}

/// The account with what is provisioned about it, for pages.
pub fn shown(app: &App, account: Account) -> Account {
    let Some(user) = app.scim.user(&account.id).filter(|_| account.managed) else { return account };
    let name = display_name(&user);
    let name = if app.has(Defect::UpdateVisibleToUser) { account.first_name.clone().or(name) } else { name };
    Account { name, email: email(&user), ..account }
}
