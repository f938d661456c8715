//! Accounts: made at the first login, found by issuer, tenant and subject, and by nothing else.

use super::App;
use super::defect::Defect;
use super::state::{Account, Standing, State};
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

/// The id of the person's account, which is made when there is none. Display attributes are taken over.
pub fn account_of(app: &App, state: &mut State, person: Person) -> String {
    let same = |account: &&mut Account| {
        account.sub == person.sub
            && (account.issuer == person.issuer || app.has(Defect::SubjectIssuerUnique))
            && (account.tenant == person.tenant || app.has(Defect::SubjectTenantUnique))
    };
    let by_email =
        |account: &&mut Account| app.has(Defect::NoEmailMatching) && person.email.is_some() && account.email == person.email;
    let id = match state.accounts.values_mut().find(same) {
        Some(account) => account.id.clone(),
        None => match state.accounts.values_mut().find(by_email) {
            Some(account) => account.id.clone(),
            None => random(12),
        },
    };
    let account = state.accounts.entry(id.clone()).or_insert_with(|| Account {
        id: id.clone(),
        issuer: person.issuer,
        tenant: person.tenant,
        sub: person.sub,
        ..Account::default()
    });
    if account.standing == Standing::Hidden {
        account.standing = Standing::Active;
    }
    account.email = person.email;
    account.name = person.name;
    id
}
