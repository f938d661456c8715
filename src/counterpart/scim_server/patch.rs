//! PATCH (RFC 7644 3.5.2): operations on the attributes of a resource. What the resource as a whole must satisfy is checked afterwards.

use serde_json::{Map, Value};

use super::filter::{Filter, Op, Path};
use super::matching::value_matches;
use super::paths::{descend, resolve};
use super::problem::Problem;
use super::schema::{Attribute, Kind};
use super::value;
use super::{Config, Quirk};

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Adds values, keeps others.
    Add,
    /// Sets.
    Replace,
    /// Clears.
    Remove,
}

/// One operation of a PATCH.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// What it does.
    pub verb: Verb,
    /// Its path, as sent.
    pub path: Option<String>,
    /// Its value; null counts as one.
    pub value: Option<Value>,
}

impl Operation {
    /// Reads the operations of a PatchOp message; `op` is compared regardless of case (RFC 7644 errata; common clients capitalise it).
    pub fn read_all(body: &Map<String, Value>) -> Result<Vec<Operation>, Problem> {
        let list = body.get("Operations").and_then(Value::as_array).filter(|list| !list.is_empty());
        let list = list.ok_or_else(|| Problem::bad("invalidSyntax", "Operations must be a list with at least one operation."))?;
        list.iter().map(Operation::read).collect()
    }

    fn read(sent: &Value) -> Result<Operation, Problem> {
        let op = sent["op"].as_str().unwrap_or_default().to_ascii_lowercase();
        let verb = match op.as_str() {
            "add" => Verb::Add,
            "replace" => Verb::Replace,
            "remove" => Verb::Remove,
            _ => return Err(Problem::bad("invalidSyntax", "op must be add, replace or remove.")),
        };
        let path = match &sent["path"] {
            Value::Null => None,
            Value::String(path) => Some(path.clone()),
            _ => return Err(Problem::bad("invalidPath", "path must be a string.")),
        };
        let value = sent.get("value").cloned();
        if verb != Verb::Remove && value.is_none() {
            return Err(Problem::bad("invalidValue", format!("{op} needs a value.")));
        }
        if verb == Verb::Remove && path.is_none() {
            return Err(Problem::bad("noTarget", "remove needs a path."));
        }
        Ok(Operation { verb, path, value })
    }

    /// The value that it gives to this attribute as a whole, by path or in the object of a pathless operation.
    pub fn value_for(&self, name: &str) -> Option<&Value> {
        match &self.path {
            Some(path) => self.value.as_ref().filter(|_| path.trim().eq_ignore_ascii_case(name)),
            None => {
                self.value.as_ref()?.as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
            }
        }
    }
}

/// Applies one operation.
pub fn apply(config: &Config, kind: Kind, data: &mut Map<String, Value>, operation: &Operation) -> Result<(), Problem> {
    let Some(text) = &operation.path else {
        return pathless(config, kind, data, operation);
    };
    let path = Path::parse(text).map_err(|fault| Problem::bad("invalidPath", format!("path: {fault}.")))?;
    let steps = resolve(kind, &path.attribute).ok_or_else(|| Problem::bad("invalidPath", "The schema has no such attribute."))?;
    Change { config, kind, verb: operation.verb, value: operation.value.as_ref() }.at(data, &steps, &path)
}

/// The value names the attributes; those that a client cannot write are left alone, as in PUT.
fn pathless(config: &Config, kind: Kind, data: &mut Map<String, Value>, operation: &Operation) -> Result<(), Problem> {
    let sent = operation.value.as_ref().and_then(Value::as_object);
    let sent = sent.ok_or_else(|| Problem::bad("invalidValue", "Without path the value must be an object."))?;
    for (name, value) in sent {
        let Ok(path) = Path::parse(name) else { continue };
        let Some(steps) = resolve(kind, &path.attribute) else { continue };
        if steps.iter().any(Attribute::is_read_only) || steps[0].name == "schemas" {
            continue;
        }
        Change { config, kind, verb: operation.verb, value: Some(value) }.at(data, &steps, &path)?;
    }
    Ok(())
}

/// A verb with its value, on its way down a path.
struct Change<'a> {
    config: &'a Config,
    kind: Kind,
    verb: Verb,
    value: Option<&'a Value>,
}

impl Change<'_> {
    fn at(&self, data: &mut Map<String, Value>, steps: &[Attribute], path: &Path) -> Result<(), Problem> {
        if steps.iter().any(Attribute::is_read_only) || steps[0].name == "schemas" {
            return Err(Problem::bad("mutability", format!("{} cannot be written.", path.attribute)));
        }
        match &path.filter {
            Some(filter) => self.filtered(data, steps, filter, path.sub.as_deref()),
            None => self.down(data, steps),
        }
    }

    fn down(&self, data: &mut Map<String, Value>, steps: &[Attribute]) -> Result<(), Problem> {
        let Some((first, rest)) = steps.split_first() else { return Ok(()) };
        if rest.is_empty() {
            return self.whole(data, first);
        }
        if first.multi {
            // Without brackets the operation is on every value (RFC 7644 3.5.2.3).
            let list = data.get_mut(first.name).and_then(Value::as_array_mut).filter(|list| !list.is_empty());
            let Some(list) = list else { return self.nothing_there() };
            for element in list.iter_mut().filter_map(Value::as_object_mut) {
                self.down(element, rest)?;
            }
            return Ok(());
        }
        let whole_name = self.verb == Verb::Replace && first.name == "name" && self.config.has(Quirk::UpdatePatchReplace);
        let mut inner = match data.get(first.name).and_then(Value::as_object) {
            Some(object) if !whole_name => object.clone(),
            _ => Map::new(),
        };
        self.down(&mut inner, rest)?;
        set(data, first.name, (!inner.is_empty()).then_some(Value::Object(inner)));
        Ok(())
    }

    fn nothing_there(&self) -> Result<(), Problem> {
        // A value that is not there is removed already: who sends the same again must not fail.
        if self.verb == Verb::Remove { Ok(()) } else { Err(Problem::bad("noTarget", "The path leads to no value.")) }
    }

    fn whole(&self, data: &mut Map<String, Value>, attribute: &Attribute) -> Result<(), Problem> {
        let value = match self.verb {
            Verb::Remove => return self.remove(data, attribute),
            _ => self.value.unwrap_or(&Value::Null),
        };
        if !attribute.multi {
            let new = value::single(attribute, value)?;
            // Sub-attributes that are not named stay (RFC 7644 3.5.2.1 and 3.5.2.3).
            let merged = match (data.get(attribute.name), new) {
                (Some(Value::Object(old)), Some(Value::Object(_))) => {
                    let mut old = old.clone();
                    for (name, value) in value.as_object().into_iter().flatten() {
                        if let Some(sub) = descend(attribute.subs(), name).filter(|steps| !steps[0].is_read_only()) {
                            set(&mut old, sub[0].name, value::whole(&sub[0], value)?);
                        }
                    }
                    (!old.is_empty()).then_some(Value::Object(old))
                }
                (_, new) => new,
            };
            set(data, attribute.name, merged);
            return Ok(());
        }
        let list = if value.is_object() { Value::Array(vec![value.clone()]) } else { value.clone() };
        let new = value::whole(attribute, &list)?;
        if self.verb == Verb::Replace {
            set(data, attribute.name, new);
            return Ok(());
        }
        let Some(Value::Array(new)) = new else { return Ok(()) };
        let mut old = data.get(attribute.name).and_then(Value::as_array).cloned().unwrap_or_default();
        for value in new {
            let twice = attribute.name == "members" && self.config.has(Quirk::GroupAddMember);
            if twice || !old.iter().any(|known| same(attribute, known, &value)) {
                if value["primary"] == true {
                    old.iter_mut().filter_map(Value::as_object_mut).for_each(|other| drop(other.remove("primary")));
                }
                old.push(value);
            }
        }
        set(data, attribute.name, Some(Value::Array(old)));
        Ok(())
    }

    fn remove(&self, data: &mut Map<String, Value>, attribute: &Attribute) -> Result<(), Problem> {
        let has = |quirk| self.config.has(quirk);
        if attribute.required {
            return Err(Problem::bad("mutability", format!("{} is required.", attribute.name)));
        }
        if self.kind == Kind::User && !attribute.multi && has(Quirk::AttributeRemoval) {
            return Ok(());
        }
        let members = attribute.name == "members";
        let named = self.value.filter(|value| attribute.multi && !value.is_null());
        let Some(named) = named.filter(|_| !(members && has(Quirk::GroupRemoveWithValue))) else {
            if members && self.value.is_none() && has(Quirk::GroupRemoveAll) {
                return Err(Problem::bad("invalidValue", "All members cannot be removed at once."));
            }
            data.remove(attribute.name);
            return Ok(());
        };
        // RFC 7644 does not say what a value means here; only those it names are removed, which harms nobody.
        let list = if named.is_object() { Value::Array(vec![named.clone()]) } else { named.clone() };
        let gone = value::whole(attribute, &list)?;
        let gone = gone.as_ref().and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        self.retain(data, attribute, |value| !gone.iter().any(|gone| same(attribute, gone, value)));
        Ok(())
    }

    fn filtered(
        &self,
        data: &mut Map<String, Value>,
        steps: &[Attribute],
        filter: &Filter,
        sub: Option<&str>,
    ) -> Result<(), Problem> {
        let [attribute] = steps else { return Err(Problem::bad("invalidPath", "Brackets cannot stand there.")) };
        let sub = sub.map(|sub| descend(attribute.subs(), sub).ok_or(())).transpose();
        let sub = sub.map_err(|()| Problem::bad("invalidPath", "The schema has no such sub-attribute."))?;
        if !attribute.multi {
            return Err(Problem::bad("invalidPath", "Brackets need a multi-valued attribute."));
        }
        if sub.as_ref().is_some_and(|sub| sub.iter().any(Attribute::is_read_only)) {
            return Err(Problem::bad("mutability", "That sub-attribute cannot be written."));
        }
        let chosen = |value: &Value| value_matches(attribute, filter, value);
        let found = data.get(attribute.name).and_then(Value::as_array).is_some_and(|list| list.iter().any(chosen));
        if !found {
            return match (self.verb, filter, &sub) {
                // Common clients add a value this way: what the filter demands becomes part of it.
                (Verb::Add, Filter::Compare(name, Op::Eq, wanted), Some(sub)) => {
                    let element = serde_json::json!({name: wanted, sub[0].name: self.value});
                    Change { value: Some(&element), ..*self }.whole(data, attribute)
                }
                _ => self.nothing_there(),
            };
        }
        if self.verb == Verb::Remove && sub.is_none() {
            let wipe = attribute.name == "members" && self.config.has(Quirk::GroupRemoveMember);
            self.retain(data, attribute, |value| !wipe && !chosen(value));
            return Ok(());
        }
        if self.verb == Verb::Replace && self.kind == Kind::User && self.config.has(Quirk::UpdatePatchMultivalue) {
            self.retain(data, attribute, chosen);
        }
        let list = data.get_mut(attribute.name).and_then(Value::as_array_mut);
        for element in list.into_iter().flatten().filter(|value| chosen(value)) {
            match (&sub, element.as_object_mut()) {
                (Some(sub), Some(object)) => self.down(object, sub)?,
                _ => *element = value::single(attribute, self.value.unwrap_or(&Value::Null))?.unwrap_or_default(),
            }
        }
        self.retain(data, attribute, |value| value.as_object().is_some_and(|object| !object.is_empty()));
        Ok(())
    }

    fn retain(&self, data: &mut Map<String, Value>, attribute: &Attribute, keep: impl Fn(&Value) -> bool) {
        let list: Vec<Value> = data.get(attribute.name).and_then(Value::as_array).into_iter().flatten().cloned().collect();
        let kept: Vec<Value> = list.into_iter().filter(keep).collect();
        set(data, attribute.name, (!kept.is_empty()).then_some(Value::Array(kept)));
    }
}

/// Members and roles are the same by their value alone, other values when nothing differs.
fn same(attribute: &Attribute, a: &Value, b: &Value) -> bool {
    if matches!(attribute.name, "members" | "roles") { a["value"] == b["value"] } else { a == b }
}

fn set(data: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    match value {
        Some(value) => drop(data.insert(name.to_owned(), value)),
        None => drop(data.shift_remove(name)),
    }
}
