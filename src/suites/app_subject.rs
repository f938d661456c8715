//! app-subject: who shares an account with whom, read from the identity marker.

use serde::{Deserialize, Serialize};

use crate::counterpart::provider::{Script, Subject};
use crate::model::verdict::Findings;
use crate::model::{ExchangeId, Judgement};
use crate::stage::Stage;
use crate::stage::visitor::{Attempt, Visitor};
use crate::suite::{Check, Obstacle, Scenario};
use crate::suites::blocks::NO_CONTROL;

/// A tenant that no target file names.
const OTHER_TENANT: &str = "ipsie-conform-other-tenant";

/// Accounts of users who look alike.
pub struct Subjects;

/// What the page of each login showed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Seen {
    /// A conforming login at the end succeeded.
    pub last: bool,
    /// The operator names a tenant: the provider serves several.
    pub tenant_declared: bool,
    /// One subject in two tenants.
    pub tenants: Option<Pair>,
    /// One subject at two issuers.
    pub issuers: Option<Pair>,
    /// Somebody else signed in at the second issuer: it works.
    pub second_works: Option<Attempt>,
    /// One email address of several subjects.
    pub emails: Option<Emails>,
}

/// Two logins of one `sub`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Pair {
    /// That `sub`.
    pub sub: String,
    /// In the first tenant, or at the first issuer.
    pub one: Attempt,
    /// In the other.
    pub two: Attempt,
    /// The addresses of the two logins.
    #[serde(default)]
    pub emails: [String; 2],
    /// The name of both.
    #[serde(default)]
    pub name: String,
}

/// Logins that share an email address.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Emails {
    /// The address.
    pub email: String,
    /// The first user's name.
    pub name: String,
    /// The first user's login with it.
    pub owner: Attempt,
    /// Others with the same address, unverified and verified.
    pub others: Vec<Attempt>,
    /// The first user with another address.
    pub moved: Attempt,
}

impl Scenario for Subjects {
    type Seen = Seen;
    const ID: &'static str = "app-subject";
    const TITLE: &'static str = "users with the same sub or the same email";
    const CHECKS: &'static [Check<Seen>] = &[
        Check::new("sl1.app.subject-tenant-unique", tenants_have_accounts_of_their_own),
        Check::new("sl1.app.subject-issuer-unique", issuers_have_accounts_of_their_own),
        Check::new("sl1.app.no-email-matching", an_email_address_opens_no_account),
    ];

    async fn play(stage: &Stage) -> Result<Seen, Obstacle> {
        let app = stage.app()?;
        let mut seen = Seen { tenant_declared: !app.app.tenant.is_empty(), ..Seen::default() };
        if stage.wants("sl1.app.subject-tenant-unique") {
            seen.tenants = Some(two_tenants(stage).await?);
        }
        let second = app.app.second.is_some();
        if second && (stage.wants("sl1.app.subject-issuer-unique") || !seen.tenant_declared) {
            let user = user(stage, "issuer", 0)?;
            let one = login(stage, &user, "a subject of the first issuer").await?;
            // Another address: accounts that are found by email are the matter of another clause.
            let namesake = Subject { email: app.somebody("issuer-second").email, ..user.clone() };
            let two = login_at_second(stage, &namesake, "the same subject of the second issuer").await?;
            let other = self::user(stage, "issuer-other", 1)?;
            seen.second_works = Some(login_at_second(stage, &other, "control: another subject of the second issuer").await?);
            seen.issuers = Some(Pair { sub: user.sub, one, two, emails: [user.email, namesake.email], name: user.name });
        }
        if stage.wants("sl1.app.no-email-matching") {
            seen.emails = Some(emails(stage).await?);
        }
        seen.last = stage.login_control("control: conforming login").await?.signed_in();
        Ok(seen)
    }
}

/// A user of this scenario alone, unless only the declared ones can sign in.
fn user(stage: &Stage, what: &str, declared: usize) -> Result<Subject, Obstacle> {
    let app = stage.app()?;
    Ok(if app.app.users.is_empty() { app.somebody(what) } else { app.users[declared.min(1)].clone() })
}

async fn login(stage: &Stage, user: &Subject, label: &str) -> Result<Attempt, Obstacle> {
    Ok(stage.attempt(Script::of(user), label).await?.1)
}

async fn two_tenants(stage: &Stage) -> Result<Pair, Obstacle> {
    let app = stage.app()?;
    let mut user = user(stage, "tenant", 0)?;
    if user.tenant.is_empty() {
        user.tenant = "ipsie-conform-tenant".into();
    }
    let one = login(stage, &user, "a subject in one tenant").await?;
    let email = app.somebody("other-tenant").email;
    let other = Subject { tenant: OTHER_TENANT.into(), email, ..user.clone() };
    let two = login(stage, &other, "the same subject in another tenant").await?;
    Ok(Pair { sub: user.sub, one, two, emails: [user.email, other.email], name: user.name })
}

async fn login_at_second(stage: &Stage, user: &Subject, label: &str) -> Result<Attempt, Obstacle> {
    let app = stage.app()?;
    let start = app.app.second.as_ref().map(|second| second.start_url.clone()).unwrap_or_default();
    let _undisturbed = stage.undisturbed().await?;
    let visitor = Visitor::new(stage, label).await?;
    app.provider.tell(&visitor.id, Script::of(user).answer());
    stage.world.recorder.login_typed();
    let landing = visitor.open(stage, &start, label).await?;
    app.provider.silence(&visitor.id);
    let look = visitor.look_for_session(stage, &landing, label).await?;
    Ok(visitor.outcome(app, label, 0, look, &landing))
}

async fn emails(stage: &Stage) -> Result<Emails, Obstacle> {
    let app = stage.app()?;
    let owner = user(stage, "email", 0)?;
    let first = login(stage, &owner, "a user with an email address").await?;
    let mut others = Vec::new();
    for (what, verified) in [("email-unverified", false), ("email-verified", true)] {
        let other = Subject { email: owner.email.clone(), email_verified: verified, ..app.somebody(what) };
        let label = format!("a new subject with that address, email_verified {verified}");
        others.push(login(stage, &other, &label).await?);
    }
    let moved = Subject { email: app.somebody("email-moved").email, ..owner.clone() };
    let moved = login(stage, &moved, "the first user with another address").await?;
    if !app.app.users.is_empty() {
        // A declared user keeps the address that the operator gave it.
        login(stage, &owner, "the first user with the old address again").await?;
    }
    Ok(Emails { email: owner.email, name: owner.name, owner: first, others, moved })
}

fn account(attempt: &Attempt) -> Option<&str> {
    attempt.look.account.as_deref().filter(|_| attempt.signed_in())
}

/// Two logins that must not share an account.
enum Shares {
    Same(String),
    Different,
    Refused,
    Unknown(String),
}

/// Does the second login lead into the account of the first?
fn shares(one: &Attempt, two: &Attempt) -> Shares {
    let Some(own) = account(one) else {
        return Shares::Unknown(format!("{}: {}", one.label, no_account(one)));
    };
    match account(two) {
        Some(shown) if shown == own => Shares::Same(own.to_owned()),
        Some(_) => Shares::Different,
        None if two.refused() && two.redeemed => Shares::Refused,
        None => Shares::Unknown(format!("{}: {}", two.label, no_account(two))),
    }
}

fn no_account(attempt: &Attempt) -> String {
    if attempt.signed_in() { "signed in, and app.identity shows no account".into() } else { attempt.describe() }
}

fn cites<'a>(attempts: impl IntoIterator<Item = &'a Attempt>) -> Vec<ExchangeId> {
    attempts.into_iter().flat_map(|attempt| attempt.cites.iter().rev().cloned()).collect()
}

/// Each marker shows the address of its own login, which one account may take over from the last.
fn shows_addresses(pair: &Pair) -> bool {
    let shows =
        |attempt: &Attempt, email: &String| !email.is_empty() && account(attempt).is_some_and(|shown| shown.contains(email));
    shows(&pair.one, &pair.emails[0]) && shows(&pair.two, &pair.emails[1])
}

/// The demand on a pair of logins of one `sub`. The marker itself may show no more than the `sub`, and then tells nothing.
fn own_accounts(pair: &Pair, where_: &str, refusal_counts: Result<(), &str>) -> Judgement {
    let judgement = match shares(&pair.one, &pair.two) {
        Shares::Same(shown) if shown == pair.sub => Judgement::undecided(
            "app.identity shows the sub itself, which is the same in both logins: let it name an element with the account's own identifier",
        ),
        Shares::Same(shown) if !pair.name.is_empty() && shown.contains(&pair.name) => Judgement::undecided(
            "app.identity shows the name claim, which is the same in both logins: let it name an element with the account's own identifier",
        ),
        Shares::Different if shows_addresses(pair) => Judgement::undecided(
            "app.identity shows the email address of the login: let it name an element with the account's own identifier",
        ),
        Shares::Same(shown) => Judgement::broken(format!("the same sub {where_} leads into one account, {shown}"))
            .expected("another account, or a refusal", format!("account {shown} both times")),
        Shares::Different => Judgement::pass(format!("the same sub {where_} has two accounts")),
        Shares::Refused => match refusal_counts {
            Ok(()) => Judgement::pass(format!("the same sub {where_}: the second login is refused")),
            Err(why) => Judgement::undecided(why),
        },
        Shares::Unknown(why) => Judgement::undecided(why),
    };
    judgement.cite(&cites([&pair.two, &pair.one]))
}

fn issuers(seen: &Seen) -> Option<Judgement> {
    let pair = seen.issuers.as_ref()?;
    let works = seen.second_works.as_ref().is_some_and(Attempt::signed_in) && seen.last;
    let counts = if works { Ok(()) } else { Err(NO_CONTROL) };
    Some(own_accounts(pair, "from two issuers", counts))
}

fn issuers_have_accounts_of_their_own(seen: &Seen) -> Judgement {
    issuers(seen).unwrap_or_else(|| Judgement::undecided("not tried"))
}

fn tenants_have_accounts_of_their_own(seen: &Seen) -> Judgement {
    let Some(pair) = &seen.tenants else { return Judgement::undecided("not tried") };
    let counts = if seen.last { Ok(()) } else { Err(NO_CONTROL) };
    let judgement = own_accounts(pair, "in two tenants", counts);
    if seen.tenant_declared || !matches!(shares(&pair.one, &pair.two), Shares::Same(_)) {
        return judgement;
    }
    // No tenants are declared: each tenant may have an issuer of its own, and then the issuer is what must separate.
    match issuers(seen) {
        Some(judgement) => Judgement {
            reason: format!("app.tenant is not configured, so the issuer stands for the tenant: {}", judgement.reason),
            ..judgement
        },
        None => Judgement::undecided(format!(
            "{}; but app.tenant is not configured: an application whose tenants have an issuer each may ignore the claim. Configure \
             app.tenant, or app.second to let the issuer stand for the tenant",
            judgement.reason
        ))
        .cite(&judgement.cites),
    }
}

fn an_email_address_opens_no_account(seen: &Seen) -> Judgement {
    let Some(emails) = &seen.emails else { return Judgement::undecided("not tried") };
    let Some(own) = account(&emails.owner) else {
        return Judgement::undecided(format!("{}: {}", emails.owner.label, no_account(&emails.owner))).cite(&emails.owner.cites);
    };
    let kept = account(&emails.moved) == Some(own);
    // A marker that shows the address or the name would say nothing about the account.
    let follows_email = own.contains(&emails.email) && !kept;
    let is_name = !emails.name.is_empty() && own.contains(&emails.name);
    let mut found = Findings::new();
    for other in &emails.others {
        let exchanges = cites([other, &emails.owner]);
        match shares(&emails.owner, other) {
            Shares::Same(_) if follows_email => found.undecided(
                "app.identity shows the email address: let it name an element with the account's own identifier",
                &exchanges,
            ),
            Shares::Same(shown) => {
                found.broken(format!("{}: signed in to the first user's account {shown}", other.label), &exchanges);
            }
            Shares::Different if is_name => found.undecided(
                "app.identity shows the name claim: let it name an element with the account's own identifier",
                &exchanges,
            ),
            Shares::Different => found.saw(&exchanges),
            Shares::Refused if !seen.last => found.undecided(NO_CONTROL, &exchanges),
            Shares::Refused => found.saw(&exchanges),
            Shares::Unknown(why) => found.undecided(why, &exchanges),
        }
    }
    if emails.others.is_empty() {
        found.undecided("not tried", &[]);
    }
    if !kept {
        let shown = account(&emails.moved).map_or_else(|| no_account(&emails.moved), |account| format!("account {account}"));
        found.undecided(
            format!("the control failed: the first user, with another email address, was expected in account {own}: {shown}"),
            &cites([&emails.moved]),
        );
    }
    found.conclude("a new subject with the email address of an account gets an account of its own or none; a changed address keeps the account")
}

#[cfg(test)]
#[path = "app_subject_tests.rs"]
mod tests;
