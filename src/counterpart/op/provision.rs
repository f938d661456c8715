//! What the provisioning side needs of the provider: its accounts, its key, and a say in the claims of ID tokens.

use std::sync::{Arc, PoisonError};

use serde_json::Value;

use super::state::Account;
use super::{Op, OpUser, ReferenceOp};
use crate::counterpart::provisioner::{Accounts, Provisioning, Settings};
use crate::stage::listener::ListenFault;

/// Groups and roles of a user by name; `None` for users that are not provisioned.
type Lookup = dyn Fn(&str) -> Option<[Vec<String>; 2]> + Send + Sync;

/// Where the groups and roles of ID tokens come from.
pub struct Claims(Box<Lookup>);

impl std::fmt::Debug for Claims {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Claims")
    }
}

impl Claims {
    /// Adds `groups` and `roles` of a provisioned user to the claims of an ID token.
    pub fn add(&self, user: &str, claims: &mut Value) {
        if let Some([groups, roles]) = (self.0)(user) {
            claims["groups"] = groups.into();
            claims["roles"] = roles.into();
        }
    }
}

impl ReferenceOp {
    /// Starts to provision its users into an application. ID tokens of users who have the application carry `groups` and `roles`.
    ///
    /// # Errors
    /// An address cannot be bound, or a setting cannot be used.
    pub async fn provision(&self, settings: Settings) -> Result<Provisioning, ListenFault> {
        let provisioning = Provisioning::start(settings, Arc::new(Handle(self.op.clone()))).await?;
        // A second provisioning side would not be asked; there is one application.
        let _ = self.op.claims.set(Claims(Box::new(provisioning.claims())));
        Ok(provisioning)
    }
}

struct Handle(Arc<Op>);

impl Handle {
    fn with<T>(&self, act: impl FnOnce(&mut super::State) -> T) -> T {
        act(&mut self.0.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Accounts for Handle {
    fn issuer(&self) -> String {
        self.0.issuer.clone()
    }

    fn names(&self) -> Vec<String> {
        self.with(|state| {
            let mut names: Vec<String> = state.accounts.keys().cloned().collect();
            names.sort();
            names
        })
    }

    fn sub(&self, name: &str) -> Option<String> {
        self.with(|state| state.accounts.get(name).map(|account| account.sub.clone()))
    }

    fn add(&self, name: &str, password: &str, totp: &str) {
        let user = OpUser {
            name: name.to_owned(),
            password: password.to_owned(),
            totp: totp.to_owned(),
            hardware: String::new(),
            reusable_codes: true,
        };
        self.with(|state| {
            state.accounts.entry(name.to_owned()).or_insert_with(|| Account::new(user));
        });
    }

    fn set_disabled(&self, name: &str, disabled: bool) {
        self.with(|state| {
            if let Some(account) = state.accounts.get_mut(name) {
                account.disabled = disabled;
            }
        });
    }

    fn rename(&self, from: &str, to: &str) {
        self.with(|state| {
            let Some(mut account) = state.accounts.remove(from) else { return };
            to.clone_into(&mut account.user.name);
            for grant in state.grants.values_mut().filter(|grant| grant.account == account.id) {
                to.clone_into(&mut grant.user);
            }
            for login in state.sessions.values_mut().filter_map(|session| session.signed_in.as_mut()) {
                if login.user == from {
                    to.clone_into(&mut login.user);
                }
            }
            state.accounts.insert(to.to_owned(), account);
        });
    }

    fn remove(&self, name: &str) {
        self.with(|state| {
            state.accounts.remove(name);
        });
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        self.0.key.sign(header, claims)
    }
}
