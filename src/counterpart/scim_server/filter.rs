//! The filter grammar of RFC 7644 3.4.2.2, and the paths of PATCH (3.5.2), which share it.

use serde_json::Value;

/// Brackets and parentheses may not nest deeper than this; nobody writes that, and a stack has an end.
const DEEPEST: usize = 32;

/// A filter. Paths are kept as written; the schema tells what they mean.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// Either.
    Or(Box<Filter>, Box<Filter>),
    /// The contrary.
    Not(Box<Filter>),
    /// The attribute has a value.
    Present(String),
    /// The attribute has a value that compares so.
    Compare(String, Op, Value),
    /// One value of the multi-valued attribute matches all of this.
    Each(String, Box<Filter>),
}

/// How values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
}

/// The target of a PATCH operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The attribute as written, e.g. `name.familyName`.
    pub attribute: String,
    /// What stands in brackets.
    pub filter: Option<Filter>,
    /// The sub-attribute after the brackets.
    pub sub: Option<String>,
}

/// Why a text is no filter, in words for the client.
pub type Fault = String;

impl Filter {
    /// Reads a filter.
    pub fn parse(text: &str) -> Result<Filter, Fault> {
        let mut parser = Parser { rest: text, depth: 0 };
        let filter = parser.any()?;
        parser.end()?;
        Ok(filter)
    }

    /// Does one of the paths in it satisfy this?
    pub fn names(&self, wanted: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Filter::And(a, b) | Filter::Or(a, b) => a.names(wanted) || b.names(wanted),
            Filter::Not(inner) => inner.names(wanted),
            Filter::Present(path) | Filter::Compare(path, ..) | Filter::Each(path, _) => wanted(path),
        }
    }

    /// Are there brackets in it?
    pub fn has_brackets(&self) -> bool {
        match self {
            Filter::And(a, b) | Filter::Or(a, b) => a.has_brackets() || b.has_brackets(),
            Filter::Not(inner) => inner.has_brackets(),
            Filter::Each(..) => true,
            Filter::Present(_) | Filter::Compare(..) => false,
        }
    }
}

impl Path {
    /// Reads the path of a PATCH operation.
    pub fn parse(text: &str) -> Result<Path, Fault> {
        let mut parser = Parser { rest: text.trim(), depth: 0 };
        let attribute = parser.attribute()?;
        let filter = if parser.eat('[') { Some(parser.bracketed()?) } else { None };
        let sub = if filter.is_some() && parser.eat('.') { Some(parser.attribute()?) } else { None };
        parser.end()?;
        Ok(Path { attribute, filter, sub })
    }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn space(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = self.rest.trim_start_matches(' ');
        self.rest.len() < before
    }

    fn eat(&mut self, sign: char) -> bool {
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn end(&mut self) -> Result<(), Fault> {
        self.space();
        if self.rest.is_empty() { Ok(()) } else { Err("something follows where it should end".into()) }
    }

    /// A keyword, regardless of case, only as a whole word.
    fn keyword(&mut self, word: &str) -> bool {
        let found = self.rest.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word))
            && self.rest[word.len()..].starts_with([' ', '(']);
        if found {
            self.rest = &self.rest[word.len()..];
        }
        found
    }

    fn any(&mut self) -> Result<Filter, Fault> {
        let mut left = self.all()?;
        while self.joined("or") {
            left = Filter::Or(Box::new(left), Box::new(self.all()?));
        }
        Ok(left)
    }

    fn all(&mut self) -> Result<Filter, Fault> {
        let mut left = self.term()?;
        while self.joined("and") {
            left = Filter::And(Box::new(left), Box::new(self.term()?));
        }
        Ok(left)
    }

    fn joined(&mut self, word: &str) -> bool {
        let before = self.rest;
        if self.space() && self.keyword(word) {
            return true;
        }
        self.rest = before;
        false
    }

    fn term(&mut self) -> Result<Filter, Fault> {
        self.space();
        if self.eat('(') {
            return self.enclosed(')');
        }
        if self.keyword("not") {
            self.space();
            if !self.eat('(') {
                return Err("a parenthesis must follow `not`".into());
            }
            return Ok(Filter::Not(Box::new(self.enclosed(')')?)));
        }
        let path = self.attribute()?;
        if self.eat('[') {
            return Ok(Filter::Each(path, Box::new(self.bracketed()?)));
        }
        if !self.space() {
            return Err(format!("an operator must follow `{path}`"));
        }
        let word = self.take(|sign| sign.is_ascii_alphabetic()).to_ascii_lowercase();
        let op = match word.as_str() {
            "pr" => return Ok(Filter::Present(path)),
            "eq" => Op::Eq,
            "ne" => Op::Ne,
            "co" => Op::Co,
            "sw" => Op::Sw,
            "ew" => Op::Ew,
            "gt" => Op::Gt,
            "ge" => Op::Ge,
            "lt" => Op::Lt,
            "le" => Op::Le,
            _ => return Err(format!("`{word}` is not an operator")),
        };
        if !self.space() {
            return Err(format!("a value must follow `{word}`"));
        }
        let value = self.value()?;
        let ordered = !matches!(op, Op::Eq | Op::Ne);
        if ordered && (value.is_boolean() || value.is_null()) {
            return Err(format!("`{word}` does not fit {value}"));
        }
        Ok(Filter::Compare(path, op, value))
    }

    fn bracketed(&mut self) -> Result<Filter, Fault> {
        self.enclosed(']')
    }

    fn enclosed(&mut self, close: char) -> Result<Filter, Fault> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err("it is nested too deeply".into());
        }
        let inner = self.any()?;
        self.depth -= 1;
        self.space();
        if self.eat(close) { Ok(inner) } else { Err(format!("`{close}` is missing")) }
    }

    fn take(&mut self, wanted: impl Fn(char) -> bool) -> String {
        let end = self.rest.find(|sign| !wanted(sign)).unwrap_or(self.rest.len());
        let (head, rest) = self.rest.split_at(end);
        self.rest = rest;
        head.to_owned()
    }

    fn attribute(&mut self) -> Result<String, Fault> {
        let name = self.take(|sign| sign.is_ascii_alphanumeric() || "-_.:$".contains(sign));
        let good = name.starts_with(|sign: char| sign.is_ascii_alphabetic() || sign == '$') && !name.ends_with(['.', ':']);
        if good { Ok(name) } else { Err("an attribute name is missing".into()) }
    }

    /// A string, number, boolean or null of JSON.
    fn value(&mut self) -> Result<Value, Fault> {
        let end = if self.rest.starts_with('"') {
            let mut escaped = false;
            let close = self.rest.char_indices().skip(1).find(|(_, sign)| {
                let ends = *sign == '"' && !escaped;
                escaped = *sign == '\\' && !escaped;
                ends
            });
            close.map(|(at, _)| at + 1).ok_or("a string does not end")?
        } else {
            self.rest.find([' ', ')', ']']).unwrap_or(self.rest.len())
        };
        let (literal, rest) = self.rest.split_at(end);
        let value: Value = serde_json::from_str(literal).map_err(|_| format!("`{literal}` is not a value"))?;
        if value.is_object() || value.is_array() {
            return Err("a value is a string, a number, true, false or null".into());
        }
        self.rest = rest;
        Ok(value)
    }
}
