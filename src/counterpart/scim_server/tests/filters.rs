use serde_json::{Value, json};

use crate::counterpart::scim_server::filter::{Filter, Op, Path};

fn eq(path: &str, value: Value) -> Filter {
    Filter::Compare(path.into(), Op::Eq, value)
}

#[test]
fn filters_are_read_with_the_precedence_of_the_grammar() {
    let (a, b, c) = (|| eq("a", json!(1)), || eq("b", json!("x y")), || Filter::Present("c".into()));
    for (text, expected) in [
        ("a eq 1", a()),
        ("a EQ 1", a()),
        ("a eq 1 and b eq \"x y\"", Filter::And(a().into(), b().into())),
        ("a eq 1 or b eq \"x y\" and c pr", Filter::Or(a().into(), Filter::And(b().into(), c().into()).into())),
        ("(a eq 1 or b eq \"x y\") and c pr", Filter::And(Filter::Or(a().into(), b().into()).into(), c().into())),
        ("not (c pr)", Filter::Not(c().into())),
        ("not(c pr)", Filter::Not(c().into())),
        ("emails[a eq 1 and c pr]", Filter::Each("emails".into(), Filter::And(a().into(), c().into()).into())),
        ("a eq \"q\\\"]\"", eq("a", json!("q\"]"))),
        ("a eq null", eq("a", Value::Null)),
        ("urn:x:2.0:User:a.b eq true", eq("urn:x:2.0:User:a.b", json!(true))),
    ] {
        assert_eq!(Filter::parse(text), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_filter_is_refused() {
    let deep = "(".repeat(10_000);
    let broken = [
        "",
        " ",
        "userName",
        "userName eq",
        "userName eq ",
        "userName xx \"a\"",
        "userName eq \"a",
        "userName eq a",
        "(a eq 1",
        "a eq 1)",
        "a eq 1 or 1 eq 1",
        "a eq 1 and",
        "not a eq 1",
        "emails[a eq 1",
        "emails[]",
        "a eq {}",
        "a gt true",
        "a. pr",
        "a eq 1 b eq 2",
        "\"a\" eq 1",
        "é eq 1",
        &deep,
    ];
    for text in broken {
        assert!(Filter::parse(text).is_err(), "{text}");
    }
}

#[test]
fn paths_of_patch_are_read() {
    let path = Path::parse("emails[type eq \"work\"].value").unwrap();
    assert_eq!((path.attribute.as_str(), path.sub.as_deref()), ("emails", Some("value")));
    assert_eq!(path.filter, Some(eq("type", json!("work"))));
    assert_eq!(Path::parse("name.familyName").unwrap().attribute, "name.familyName");
    for broken in ["", "x[", "emails[type]", "emails[type eq 1]x", "a b", ".", "emails[type eq 1]."] {
        assert!(Path::parse(broken).is_err(), "{broken}");
    }
}
