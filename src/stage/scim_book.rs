//! The book of a run at a service provider: what it made there, and what it may change. Nobody else's users are changed, whatever a server
//! answers: one that ignores filters or gives out wrong ids must not cost a stranger the account.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::journal::{Entry, Journal};
use crate::counterpart::scim_client::{Answer, Bearer, Call};
use crate::model::target::Target;

/// Begins ids and names of the suite that no resource has.
const NOBODY: &str = "/ipsie-conform-";
/// Members that tell of others, not of the resource itself.
const OTHERS: [&str; 5] = ["groups", "members", "meta", "roles", "entitlements"];

/// A resource that the run made and that must be gone afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    /// `/Users`, `/Groups`.
    pub place: String,
    /// Its id; empty where the answer to its creation was lost.
    pub id: String,
    /// `userName` or `displayName`.
    pub name: String,
    /// In the second tenant.
    pub second: bool,
    /// No answer came: its creation may still be under way.
    pub late: bool,
}

impl Made {
    /// The same on disk.
    pub fn entry(&self) -> Entry {
        let Made { place, id, name, second, .. } = self.clone();
        Entry::Scim { place, id, name, second }
    }

    /// Whose token reaches it.
    pub fn bearer(&self) -> Bearer {
        if self.second { Bearer::Second } else { Bearer::Own }
    }
}

/// What a run made, and what it may change.
#[derive(Debug, Default)]
pub(super) struct Book {
    run_id: String,
    /// Names of users and groups in the target file, lower-case.
    named: BTreeSet<String>,
    made: Mutex<Vec<Made>>,
    /// `/Users/ID` of resources that carry the run id or a name of the target file.
    ours: Mutex<HashSet<String>>,
    /// The same of ids that no resource had when they were asked for.
    nobodys: Mutex<HashSet<String>>,
}

impl Book {
    /// Of a target.
    pub fn of(target: &Target) -> Self {
        let users = target.scim.iter().flat_map(|scim| scim.users.iter().map(|user| &user.user_name));
        let lifecycle = &target.lifecycle;
        let groups = lifecycle.mapping.iter().map(|row| &row.group).chain(&lifecycle.role_groups);
        Book { named: users.chain(groups).map(|name| name.to_lowercase()).collect(), ..Book::default() }
    }

    /// The same for a run.
    pub fn of_run(self, run_id: &str) -> Self {
        Book { run_id: run_id.to_lowercase(), ..self }
    }

    fn made(&self) -> MutexGuard<'_, Vec<Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ours(&self) -> MutexGuard<'_, HashSet<String>> {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nobodys(&self) -> MutexGuard<'_, HashSet<String>> {
        self.nobodys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why a request is not sent: it would change a resource that may be anybody's.
    pub fn forbids(&self, call: &Call) -> Option<String> {
        let changes = matches!(call.method.as_str(), "PUT" | "PATCH" | "DELETE");
        let of_somebody = call.path.starts_with("/Users") || call.path.starts_with("/Groups");
        if !changes || !of_somebody || call.path.contains(NOBODY) {
            return None;
        }
        if self.ours().contains(&call.path) || self.nobodys().contains(&call.path) {
            return None;
        }
        Some(format!("not sent: {} is not known to be a resource of this run or of the target file", call.path))
    }

    /// May the run change this resource?
    pub fn may_change(&self, place: &str, id: &str) -> bool {
        self.ours().contains(&format!("{place}/{id}"))
    }

    /// Reads from an answer what may be changed.
    pub fn note(&self, call: &Call, answer: &Answer) {
        let Some(place) = ["/Users", "/Groups"].into_iter().find(|place| call.path.starts_with(place)) else { return };
        if answer.ok() {
            // What was created under the name that was asked for is the run's own, whatever the name.
            let sent = if call.method == "POST" { sent_name(call) } else { String::new() };
            let one = std::slice::from_ref(&answer.body);
            let ours =
                one.iter().chain(answer.resources()).filter(|resource| self.is_ours(resource) || is_named(resource, &sent));
            let ids = ours.filter_map(|resource| resource["id"].as_str()).filter(|id| can_stand_in_a_path(id));
            self.ours().extend(ids.map(|id| format!("{place}/{id}")));
        } else if call.method == "GET" && matches!(answer.status, 400 | 404 | 410) && call.path.len() > place.len() + 1 {
            self.nobodys().insert(call.path.clone());
        }
    }

    /// A created resource that does not say its own name: only reading it shows that its id is not somebody else's.
    pub fn unproven(&self, call: &Call, answer: &Answer) -> bool {
        let nameless = answer.body["userName"].is_null() && answer.body["displayName"].is_null();
        answer.ok() && nameless && can_stand_in_a_path(answer.id()) && !self.may_change(&call.path, answer.id())
    }

    /// The resource carries the run id, or a name of the target file.
    fn is_ours(&self, resource: &Value) -> bool {
        let Some(members) = resource.as_object().filter(|members| members.contains_key("id")) else { return false };
        let named = ["userName", "displayName"].iter().filter_map(|name| members.get(*name)?.as_str());
        if named.into_iter().any(|name| self.named.contains(&name.to_lowercase())) {
            return true;
        }
        let own = members.iter().filter(|(name, _)| !OTHERS.contains(&name.as_str()) && *name != "Resources");
        own.into_iter().any(|(_, value)| self.tells(value))
    }

    /// The run id stands somewhere in a value, in whatever letters. Every resource of every answer is looked at.
    fn tells(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => {
                let (text, wanted) = (text.as_bytes(), self.run_id.as_bytes());
                !wanted.is_empty() && text.windows(wanted.len()).any(|part| part.eq_ignore_ascii_case(wanted))
            }
            Value::Array(values) => values.iter().any(|value| self.tells(value)),
            Value::Object(members) => members.values().any(|value| self.tells(value)),
            _ => false,
        }
    }

    /// Before a creation is sent: whatever becomes of the answer, or of this program, it is on the list.
    pub fn intend(&self, journal: &Journal, call: &Call) -> Option<Made> {
        if call.method != "POST" || !matches!(call.path.as_str(), "/Users" | "/Groups" | "/Roles") {
            return None;
        }
        let second = call.bearer == Bearer::Second;
        let intent = Made { place: call.path.clone(), name: sent_name(call), second, late: true, ..Made::default() };
        journal.add(&intent.entry());
        self.made().push(intent.clone());
        Some(intent)
    }

    /// After it: the id where one came that is of this run, nothing where it was refused.
    pub fn settle(&self, journal: &Journal, intent: &Made, answer: &Answer) {
        let id = answer.id();
        let known = answer.ok() && can_stand_in_a_path(id) && (intent.place == "/Roles" || self.may_change(&intent.place, id));
        // Whoever answers late or with a fault may have committed all the same.
        let open = !known && (answer.ok() || matches!(answer.status, 0 | 408 | 500..));
        let now = if known {
            Some(Made { id: id.to_owned(), late: false, ..intent.clone() })
        } else {
            open.then(|| Made { late: answer.status == 0, ..intent.clone() })
        };
        let mut made = self.made();
        if let Some(at) = made.iter().position(|known| known == intent) {
            made.remove(at);
        }
        made.extend(now.clone());
        if known {
            journal.add(&Made { id: id.to_owned(), ..intent.clone() }.entry());
        }
        if !open {
            journal.gone(&intent.entry());
        }
    }

    /// After a DELETE.
    pub fn removed(&self, journal: &Journal, call: &Call, answer: &Answer) {
        if !answer.ok() && answer.status != 404 {
            return;
        }
        let second = call.bearer == Bearer::Second;
        let gone = |known: &Made| known.second == second && format!("{}/{}", known.place, known.id) == call.path;
        let mut made = self.made();
        made.iter().filter(|known| gone(known)).for_each(|known| journal.gone(&known.entry()));
        made.retain(|known| !gone(known));
    }

    /// Takes a resource of an earlier run over.
    pub fn adopt(&self, made: Made) {
        if !made.id.is_empty() {
            self.ours().insert(format!("{}/{}", made.place, made.id));
        }
        self.made().push(made);
    }

    /// A resource that a search has shown to be what was made.
    pub fn proven(&self, place: &str, id: &str) {
        self.ours().insert(format!("{place}/{id}"));
    }

    /// The run made this resource of its own tenant, or took it over from an earlier run.
    pub fn has(&self, place: &str, id: &str) -> bool {
        self.made().iter().any(|made| made.place == place && made.id == id && !made.second)
    }

    /// Is this the path of a user that the run made in its own tenant?
    pub fn made_here(&self, path: &str) -> bool {
        path.strip_prefix("/Users/").is_some_and(|id| self.has("/Users", id))
    }

    /// How many users of its own tenant the run has made and not removed.
    pub fn users(&self) -> u64 {
        self.made().iter().filter(|made| made.place == "/Users" && !made.second).count() as u64
    }

    /// Everything that has to be removed.
    pub fn take(&self) -> Vec<Made> {
        std::mem::take(&mut *self.made())
    }
}

/// `userName` or `displayName` of what a request creates; empty where it names none.
fn sent_name(call: &Call) -> String {
    let sent: Value = call.body.as_ref().and_then(|(_, body)| serde_json::from_slice(body).ok()).unwrap_or_default();
    sent["userName"].as_str().or(sent["displayName"].as_str()).unwrap_or_default().to_owned()
}

/// The resource has this name.
fn is_named(resource: &Value, name: &str) -> bool {
    let told = resource["userName"].as_str().or(resource["displayName"].as_str()).unwrap_or_default();
    !name.is_empty() && told.eq_ignore_ascii_case(name)
}

/// An id that names one resource below its place, and nothing else, when it is put into a path.
pub(super) fn can_stand_in_a_path(id: &str) -> bool {
    !matches!(id, "" | "." | "..") && !id.contains(|letter: char| letter.is_control() || "/\\?#%".contains(letter))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const RUN: &str = "run-20260101-000000-abcd";

    fn book() -> Book {
        let mut target = Target::default();
        target.lifecycle.role_groups = vec!["Admins".into()];
        Book::of(&target).of_run(RUN)
    }

    fn answer(status: u16, body: Value) -> Answer {
        Answer { status, body, ..Answer::default() }
    }

    fn create(book: &Book, answer: &Answer) -> Vec<Made> {
        let call = Call::post("/Users", &json!({"userName": format!("a.{RUN}@x.test")}));
        let journal = Journal::default();
        let intent = book.intend(&journal, &call).unwrap();
        book.note(&call, answer);
        book.settle(&journal, &intent, answer);
        book.take()
    }

    fn may_delete(book: &Book, path: &str) -> bool {
        book.forbids(&Call::delete(path)).is_none()
    }

    #[test]
    fn what_the_run_made_may_be_changed() {
        let book = book();
        let made = create(&book, &answer(201, json!({"id": "7", "userName": format!("A.{}@x.test", RUN.to_uppercase())})));
        assert_eq!(made[0].id, "7");
        assert!(may_delete(&book, "/Users/7") && !may_delete(&book, "/Groups/7") && !may_delete(&book, "/Users/8"));
    }

    #[test]
    fn a_stranger_in_the_answer_to_a_creation_may_not() {
        let book = book();
        let made = create(&book, &answer(201, json!({"id": "1", "userName": "boss@x.test", "groups": [{"display": RUN}]})));
        assert_eq!((made.len(), made[0].id.as_str()), (1, ""));
        assert!(!may_delete(&book, "/Users/1"));
    }

    #[test]
    fn nor_one_whose_id_nobody_had_before() {
        let book = book();
        book.note(&Call::get("/Users/1"), &answer(404, Value::Null));
        assert_eq!(create(&book, &answer(201, json!({"id": "1", "userName": "boss@x.test"})))[0].id, "");
        assert!(!book.may_change("/Users", "1"));
    }

    #[test]
    fn nor_an_id_that_leads_elsewhere() {
        for id in ["", "..", "../Groups/1", "1?x", "1%2f", "1#"] {
            let book = book();
            create(&book, &answer(201, json!({"id": id, "userName": RUN})));
            assert!(!may_delete(&book, &format!("/Users/{id}")), "{id}");
        }
    }

    #[test]
    fn a_group_of_any_name_is_the_runs_own_where_it_made_it() {
        let book = book();
        let group = json!({"id": "7", "displayName": "Archivists"});
        book.note(&Call::get("/Groups"), &answer(200, json!({"Resources": [group]})));
        assert!(!may_delete(&book, "/Groups/7"));
        book.note(&Call::post("/Groups", &json!({"displayName": "archivists"})), &answer(201, group));
        assert!(may_delete(&book, "/Groups/7"));
    }

    #[test]
    fn a_list_shows_which_are_ours() {
        let book = book();
        let all = json!([{"id": "1", "displayName": "boss"}, {"id": "2", "displayName": "x", "externalId": RUN}, {"id": "3", "displayName": "admins"}]);
        book.note(&Call::get("/Groups"), &answer(200, json!({"Resources": all})));
        assert!(!may_delete(&book, "/Groups/1") && may_delete(&book, "/Groups/2") && may_delete(&book, "/Groups/3"));
        assert!(!may_delete(&book, "/Groups") && !may_delete(&book, "/Groups/"));
    }

    #[test]
    fn ids_that_nobody_has_may_be_tried() {
        let book = book();
        assert!(may_delete(&book, "/Users/ipsie-conform-x") && !may_delete(&book, "/Users/9"));
        book.note(&Call::get("/Users/9"), &answer(403, Value::Null));
        assert!(!may_delete(&book, "/Users/9"));
        book.note(&Call::get("/Users/9"), &answer(404, Value::Null));
        assert!(may_delete(&book, "/Users/9"));
        book.note(&Call::get("/Users/"), &answer(404, Value::Null));
        assert!(!may_delete(&book, "/Users/"));
    }

    #[test]
    fn a_creation_is_on_the_list_until_it_was_refused_or_removed() {
        let made = |status| create(&book(), &answer(status, Value::Null)).len();
        assert_eq!([made(0), made(408), made(409), made(429), made(500), made(503), made(204)], [1, 1, 0, 0, 1, 1, 1]);
        let book = book();
        let call = Call::post("/Users", &json!({"userName": RUN}));
        let intent = book.intend(&Journal::default(), &call).unwrap();
        let created = answer(201, json!({"id": "7", "userName": RUN}));
        book.note(&call, &created);
        book.settle(&Journal::default(), &intent, &created);
        assert!(book.has("/Users", "7"));
        book.removed(&Journal::default(), &Call::delete("/Users/7"), &answer(500, Value::Null));
        assert!(book.has("/Users", "7"));
        book.removed(&Journal::default(), &Call::delete("/Users/7"), &answer(204, Value::Null));
        assert!(book.take().is_empty());
    }
}
