//! Profiles -> catalogue. Every mistake in the data is found here, with file and line.

use std::collections::BTreeSet;
use std::path::Path;

use aws_lc_rs::digest::{Context, SHA256};
use miette::{Diagnostic, NamedSource, SourceSpan};
use serde::Deserialize;
use toml::Spanned;

use crate::model::clause::{NOT_YET, SESSION_COMMAND, TESTED_DELIVERY};
use crate::model::{Clause, Level, Requirement, Role};
use crate::suites;

/// The profile files inside the binary.
const EMBEDDED: [(&str, &str); 11] = [
    ("ipsie.toml", include_str!("../profiles/ipsie.toml")),
    ("sl1-idp.toml", include_str!("../profiles/sl1-idp.toml")),
    ("sl1-app.toml", include_str!("../profiles/sl1-app.toml")),
    ("sl2-idp.toml", include_str!("../profiles/sl2-idp.toml")),
    ("sl2-app.toml", include_str!("../profiles/sl2-app.toml")),
    ("al1-idp.toml", include_str!("../profiles/al1-idp.toml")),
    ("al1-app.toml", include_str!("../profiles/al1-app.toml")),
    ("al2-idp.toml", include_str!("../profiles/al2-idp.toml")),
    ("al2-app.toml", include_str!("../profiles/al2-app.toml")),
    ("al3-idp.toml", include_str!("../profiles/al3-idp.toml")),
    ("al3-app.toml", include_str!("../profiles/al3-app.toml")),
];

/// A mistake in a profile file.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
#[diagnostic(code(profiles), help("{help}"))]
pub struct ProfileFault {
    message: String,
    help: String,
    #[source_code]
    source_code: NamedSource<String>,
    #[label("here")]
    at: SourceSpan,
    /// File and line, for those who print one line.
    pub place: String,
}

/// One dated state of the levels document.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edition {
    /// Its name for `--edition`.
    pub id: String,
    /// `YYYY-MM-DD`.
    pub date: String,
    /// Where it stands.
    pub source: String,
    /// The names of the levels then.
    pub tracks: String,
    /// What is new against the edition before.
    pub note: String,
    /// Patterns of clause ids that it does not demand.
    pub off: Vec<String>,
}

/// What a level is about.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelEntry {
    /// The level.
    pub id: Level,
    /// A few words.
    pub title: String,
    /// Levels whose clauses it demands as well, one step.
    pub includes: Vec<Level>,
}

/// The file of one level and role.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The level.
    pub level: Level,
    /// The role.
    pub role: Role,
    /// The file's name.
    pub file: String,
    /// Every clause has a check; else a run of this part is refused.
    pub executed: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    default_edition: String,
    edition: Vec<Edition>,
    level: Vec<LevelEntry>,
    part: Vec<Spanned<Part>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PartFile {
    #[serde(default)]
    requirement: Vec<Spanned<Requirement>>,
    #[serde(default)]
    clause: Vec<Spanned<Clause>>,
}

/// All that is demanded, checked.
#[derive(Clone, Debug)]
pub struct Catalogue {
    /// The edition a run judges by unless told otherwise.
    pub default_edition: String,
    /// Every edition, oldest first.
    pub editions: Vec<Edition>,
    /// Every level.
    pub levels: Vec<LevelEntry>,
    /// Which parts there are.
    pub parts: Vec<Part>,
    /// Every requirement, in file order.
    pub requirements: Vec<Requirement>,
    /// Every clause, in file order.
    pub clauses: Vec<Clause>,
    /// SHA-256 over the files.
    pub digest: String,
}

struct File {
    name: String,
    text: String,
}

impl File {
    fn fault(&self, at: std::ops::Range<usize>, message: impl Into<String>, help: impl Into<String>) -> Box<ProfileFault> {
        let line = self.text[..at.start.min(self.text.len())].matches('\n').count() + 1;
        let place = format!("{}:{line}", self.name);
        Box::new(ProfileFault {
            message: format!("{place}: {}", message.into()),
            help: help.into(),
            source_code: NamedSource::new(&self.name, self.text.clone()).with_language("toml"),
            at: (at.start, at.end.saturating_sub(at.start).min(60)).into(),
            place,
        })
    }

    fn parse<T: serde::de::DeserializeOwned>(&self) -> Result<T, Box<ProfileFault>> {
        toml::from_str(&self.text).map_err(|error| {
            let at = error.span().unwrap_or(0..0);
            self.fault(
                at,
                error.message(),
                "The keys of a clause and a requirement are described at the top of the profile files.",
            )
        })
    }
}

impl Catalogue {
    /// The profiles inside the binary.
    pub fn embedded() -> Result<Self, Box<ProfileFault>> {
        Self::from_files(&|name| EMBEDDED.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned()))
    }

    /// The profiles of a folder.
    pub fn from_dir(dir: &Path) -> Result<Self, Box<ProfileFault>> {
        Self::from_files(&|name| std::fs::read_to_string(dir.join(name)).ok())
    }

    fn from_files(read: &dyn Fn(&str) -> Option<String>) -> Result<Self, Box<ProfileFault>> {
        let mut digest = Context::new(&SHA256);
        let mut open = |name: &str| {
            let text = read(name)?;
            digest.update(name.as_bytes());
            digest.update(text.as_bytes());
            Some(File { name: name.to_owned(), text })
        };
        let index_file = open("ipsie.toml").ok_or_else(|| {
            File { name: "ipsie.toml".into(), text: String::new() }.fault(
                0..0,
                "the file is missing",
                "A profiles folder starts with ipsie.toml.",
            )
        })?;
        let index: Index = index_file.parse()?;
        let mut catalogue = Catalogue {
            default_edition: index.default_edition,
            editions: index.edition,
            levels: index.level,
            parts: Vec::new(),
            requirements: Vec::new(),
            clauses: Vec::new(),
            digest: String::new(),
        };
        if !catalogue.editions.iter().any(|edition| edition.id == catalogue.default_edition) {
            let missing = format!("default_edition `{}` is none of the editions", catalogue.default_edition);
            return Err(index_file.fault(0..0, missing, "Add an [[edition]] of that id."));
        }
        for part in index.part {
            let span = part.span();
            let part = part.into_inner();
            let file = open(&part.file).ok_or_else(|| {
                index_file.fault(span, format!("the file {} is missing", part.file), "Put it beside ipsie.toml.")
            })?;
            catalogue.add_part(&part, &file)?;
            catalogue.parts.push(part);
        }
        catalogue.digest = digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(catalogue)
    }

    fn add_part(&mut self, part: &Part, file: &File) -> Result<(), Box<ProfileFault>> {
        let data: PartFile = file.parse()?;
        let prefix = format!("{}.{}.", part.level.to_string().to_lowercase(), part.role);
        for requirement in data.requirement {
            let span = requirement.span();
            let requirement = requirement.into_inner();
            if self.requirements.iter().any(|known| known.id == requirement.id) {
                return Err(file.fault(span, format!("requirement `{}` stands twice", requirement.id), "Remove one of them."));
            }
            self.requirements.push(requirement);
        }
        let checked: BTreeSet<String> = suites::all().iter().flat_map(|suite| suite.clauses()).collect();
        let mut unseen: BTreeSet<&str> = if part.executed {
            checked.iter().map(String::as_str).filter(|id| id.starts_with(&prefix)).collect()
        } else {
            BTreeSet::new()
        };
        for clause in data.clause {
            let span = clause.span();
            let clause = clause.into_inner();
            let id = clause.id.clone();
            if !id.starts_with(&prefix) || clause.level != part.level || clause.role != part.role {
                return Err(file.fault(
                    span,
                    format!("clause `{id}` does not belong into this part"),
                    format!("Its id starts with `{prefix}`."),
                ));
            }
            if self.clauses.iter().any(|known| known.base() == id) {
                return Err(file.fault(span, format!("clause `{id}` stands twice"), "Ids are stable and unique."));
            }
            if !self.requirements.iter().any(|known| known.id == clause.requirement) {
                let nearest = nearest(&clause.requirement, self.requirements.iter().map(|known| known.id.as_str()));
                return Err(file.fault(
                    span,
                    format!("clause `{id}` serves requirement `{}`, which does not exist", clause.requirement),
                    format!("Did you mean `{nearest}`?"),
                ));
            }
            for clause in expanded(clause) {
                let has_check = checked.contains(&clause.id);
                if clause.binding == NOT_YET && has_check {
                    let help = "The binding is tested now: take it out of the constants of the clause model.";
                    return Err(file.fault(span, format!("clause `{}` has a check", clause.id), help));
                }
                if part.executed && !has_check && clause.how != crate::model::How::Attested && clause.binding != NOT_YET {
                    return Err(file.fault(
                        span,
                        format!("clause `{}` has no check", clause.id),
                        "Add a check for it to a suite, or make it attested.",
                    ));
                }
                unseen.remove(clause.id.as_str());
                self.clauses.push(clause);
            }
        }
        if let Some(id) = unseen.first() {
            return Err(file.fault(
                0..0,
                format!("the check of `{id}` has no clause"),
                "Add its [[clause]], or remove the check.",
            ));
        }
        Ok(())
    }

    /// A clause by its id, by its slug, or none. Without `@binding` it is the first of those that differ by their binding alone.
    pub fn clause(&self, name: &str) -> Option<&Clause> {
        self.clauses.iter().find(|clause| clause.id == name).or_else(|| {
            let mut fitting = self.clauses.iter().filter(|clause| clause.names().contains(&name));
            fitting.next().filter(|first| fitting.all(|other| other.base() == first.base()))
        })
    }

    /// An edition by its id.
    pub fn edition(&self, id: &str) -> Option<&Edition> {
        self.editions.iter().find(|edition| edition.id == id)
    }
}

/// One clause per tested delivery binding where it states an effect of a session command, else itself.
fn expanded(clause: Clause) -> Vec<Clause> {
    if clause.binding != SESSION_COMMAND {
        return vec![clause];
    }
    let bound = |binding: &str| Clause { id: format!("{}@{binding}", clause.id), binding: binding.to_owned(), ..clause.clone() };
    TESTED_DELIVERY.into_iter().map(bound).collect()
}

/// Does a pattern mean this clause? It is held against id and slug, both with and without `@binding`.
pub fn matches(pattern: &str, clause: &Clause) -> bool {
    clause.names().iter().any(|name| glob(pattern, name))
}

/// Does a pattern of an edition's `off` mean this clause? It is held against the id with and without `@binding`.
pub fn is_off(off: &[String], clause: &Clause) -> bool {
    off.iter().any(|pattern| glob(pattern, &clause.id) || glob(pattern, clause.base()))
}

/// Does `text` match a pattern in which `*` stands for any text?
pub fn glob(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text
            .strip_prefix(head)
            .is_some_and(|rest| (0..=rest.len()).any(|at| rest.is_char_boundary(at) && glob(tail, &rest[at..]))),
    }
}

/// The known name most like this one.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> &'a str {
    known.max_by(|a, b| strsim::jaro_winkler(a, name).total_cmp(&strsim::jaro_winkler(b, name))).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &'static str, change: impl Fn(&str) -> String + 'static) -> Result<Catalogue, Box<ProfileFault>> {
        Catalogue::from_files(&move |asked| {
            let text = EMBEDDED.iter().find(|(known, _)| *known == asked)?.1;
            Some(if asked == name { change(text) } else { text.to_owned() })
        })
    }

    #[test]
    fn every_account_clause_that_is_tested_says_what_usually_mends_it() {
        let catalogue = Catalogue::embedded().unwrap();
        let tested =
            catalogue.clauses.iter().filter(|clause| clause.level.is_account() && clause.how != crate::model::How::Attested);
        for clause in tested {
            assert!((60..=300).contains(&clause.remedy.len()), "{}: {}", clause.id, clause.remedy);
        }
    }

    #[test]
    fn the_embedded_profiles_are_in_order() {
        let catalogue = Catalogue::embedded().unwrap();
        assert_eq!(catalogue.clauses.iter().filter(|clause| clause.id.starts_with("sl1.idp.")).count(), 97);
        assert_eq!(catalogue.default_edition, "2026-02-05");
    }

    #[test]
    fn every_mistake_is_told_with_file_and_line() {
        type Change = Box<dyn Fn(&str) -> String>;
        let cases: [(&str, Change, &str); 5] = [
            ("unknown key", Box::new(|text| text.replacen("wait_s", "wait_seconds", 1)), "unknown field `wait_seconds`"),
            (
                "missing requirement",
                Box::new(|text| text.replacen("requirement = \"sl1.idp.discovery\"", "requirement = \"sl1.idp.discovry\"", 1)),
                "sl1.idp.discovry",
            ),
            (
                "duplicate",
                Box::new(|text| text.replacen("\"sl1.idp.endpoints-https\"", "\"sl1.idp.discovery-published\"", 1)),
                "stands twice",
            ),
            (
                "clause without check",
                Box::new(|text| text.replacen("\"sl1.idp.endpoints-https\"", "\"sl1.idp.endpoints-httpz\"", 1)),
                "has no check",
            ),
            (
                "check without clause",
                Box::new(|text| {
                    let start = text.find("\n[[clause]]").unwrap();
                    let end = text[start + 10..].find("\n[[clause]]").unwrap() + start + 10;
                    format!("{}{}", &text[..start], &text[end..])
                }),
                "has no clause",
            ),
        ];
        for (name, change, wanted) in cases {
            let fault = with("sl1-idp.toml", change).unwrap_err();
            assert!(fault.to_string().contains(wanted), "{name}: {fault}");
            assert!(fault.place.starts_with("sl1-idp.toml:"), "{name}");
        }
    }

    #[test]
    fn an_effect_of_a_session_command_stands_once_per_delivery_binding() {
        let catalogue = Catalogue::embedded().unwrap();
        let base = "sl2.app.reauth-before-page";
        let ids: Vec<&str> =
            catalogue.clauses.iter().filter(|clause| clause.base() == base).map(|clause| clause.id.as_str()).collect();
        assert_eq!(ids, TESTED_DELIVERY.map(|binding| format!("{base}@{binding}")));
        assert!(catalogue.clauses.iter().all(|clause| clause.binding != SESSION_COMMAND));
        let one = catalogue.clause("sl2.app.reauth-before-page@backchannel-logout").unwrap();
        assert_eq!((one.slug(), one.binding.as_str()), ("reauth-before-page@backchannel-logout", "backchannel-logout"));
        assert_eq!(catalogue.clause(base).unwrap().binding, "op-commands");
        for pattern in [base, "reauth-before-page", "*-page", "*@backchannel-logout", "sl2.app.*"] {
            assert!(matches(pattern, one), "{pattern}");
        }
        assert!(!matches("reauth-before-page@op-commands", one));
        assert!(
            is_off(&[base.to_owned()], one)
                && is_off(std::slice::from_ref(&one.id), one)
                && !is_off(&["sl2.app.reauth".into()], one)
        );
    }

    #[test]
    fn a_star_stands_for_any_text() {
        assert!(glob("sl1.idp.*", "sl1.idp.pkce-required") && glob("*pkce*", "sl1.idp.pkce-required") && glob("a", "a"));
        assert!(!glob("sl1.app.*", "sl1.idp.pkce-required") && !glob("a", "ab"));
    }
}
