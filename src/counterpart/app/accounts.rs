//! Accounts: made at the first login, found by issuer, tenant and subject, and by nothing else.

use super::App;
use super::defect::Defect;
use super::people;
use super::state::{Account, State};
use crate::wire::jose::random;

/// What the provider says about a user.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// Issuer of the subject identifier.
    pub issuer: String,
    /// The tenant, where one is named.
    pub tenant: Option<String>,
    /// The subject identifier.
    pub sub: String,
    /// Display attribute.
    pub email: Option<String>,
    /// Display attribute.
    pub name: Option<String>,
}

/// The account of a person, where there is one.
pub fn find(app: &App, state: &State, person: &Person) -> Option<String> {
    let same = |account: &&Account| {
        account.sub == person.sub
            && (account.issuer == person.issuer || app.has(Defect::SubjectIssuerUnique))
            && (account.tenant == person.tenant || app.has(Defect::SubjectTenantUnique))
    };
    let by_email =
        |account: &&Account| app.has(Defect::NoEmailMatching) && person.email.is_some() && account.email == person.email;
    let all = || state.accounts.values();
    all().find(same).or_else(|| all().find(by_email)).map(|account| account.id.clone())
}

/// The id of the person's account, which is made when there is none: that of its SCIM user `managed`, where it has one. Display
/// attributes are taken over.
pub fn account_of(app: &App, state: &mut State, person: Person, managed: Option<String>) -> String {
    let known = find(app, state, &person);
    let is_managed = known.is_none() && managed.is_some();
    let id = known.or(managed).unwrap_or_else(|| random(12));
    let account = state.accounts.entry(id.clone()).or_insert_with(|| Account {
        id: id.clone(),
        issuer: person.issuer,
        tenant: person.tenant,
        sub: person.sub,
        managed: is_managed,
        ..Account::default()
    });
    account.email = person.email;
    account.name = person.name;
    if account.first_name.is_none() && account.managed {
        account.first_name = app.scim.user(&id).as_ref().and_then(people::display_name);
    }
    id
}
