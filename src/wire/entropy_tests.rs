use super::*;

/// Even pseudo-random numbers, the same in every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn text(&mut self, alphabet: &str, length: usize) -> String {
        let symbols: Vec<char> = alphabet.chars().collect();
        (0..length).map(|_| symbols[usize::try_from(self.next() % u64::try_from(symbols.len()).unwrap()).unwrap()]).collect()
    }

    fn uuid(&mut self) -> String {
        let mut text = self.text(HEX, 32);
        text.replace_range(12..13, "4");
        let variant = self.text("89ab", 1);
        text.replace_range(16..17, &variant);
        [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
    }
}

const HEX: &str = "0123456789abcdef";
const BASE64URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn series(count: usize, mut make: impl FnMut(&mut Dice) -> String) -> Estimate {
    let mut dice = Dice(7);
    estimate(&(0..count).map(|_| make(&mut dice)).collect::<Vec<_>>())
}

#[test]
fn sixteen_hexadecimal_digits_are_64_bits() {
    let found = series(8, |dice| dice.text(HEX, 16));
    assert_eq!((found.varying, found.symbols, found.bits), (16, 16, 64.0));
    assert_eq!(
        (found.alphabet.as_str(), found.shape, found.sequential, found.repeats),
        ("lower-case hexadecimal", Shape::Opaque, false, 0)
    );
}

#[test]
fn forty_three_base64url_characters_are_258_bits() {
    let found = series(8, |dice| dice.text(BASE64URL, 43));
    assert_eq!((found.varying, found.alphabet.as_str(), found.bits), (43, "base64url", 258.0));
}

#[test]
fn upper_case_hexadecimal_digits_and_base32_are_told_apart() {
    assert_eq!(series(8, |dice| dice.text("0123456789ABCDEF", 32)).bits, 128.0);
    assert_eq!(series(8, |dice| dice.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 26)).bits, 130.0);
    assert_eq!(series(8, |dice| dice.text("0123456789", 6)).alphabet, "digits");
}

#[test]
fn a_uuid_has_122_random_bits() {
    let found = series(8, Dice::uuid);
    assert_eq!((found.shape, found.bits, found.varying), (Shape::UuidV4, 122.0, 31));
}

#[test]
fn constant_parts_of_a_code_do_not_count() {
    let mut dice = Dice(3);
    let (session, client) = (dice.uuid(), dice.uuid());
    let found = series(8, |dice| format!("{}.{session}.{client}", dice.uuid()));
    assert_eq!((found.shape, found.bits, found.min_len), (Shape::Opaque, 122.0, 110));
    let found = series(8, |dice| format!("{}.{}.{client}", dice.uuid(), dice.uuid()));
    assert_eq!(found.bits, 244.0);
}

#[test]
fn a_long_constant_is_no_randomness() {
    let constant = Dice(5).text(BASE64URL, 200);
    let found = series(8, |dice| format!("{constant}{}", dice.text(HEX, 4)));
    assert_eq!((found.varying, found.bits), (4, 16.0));
}

#[test]
fn counters_are_seen() {
    let numbers = |start: u64, step: u64| (0..8).map(|at| format!("code-{}-x", start + at * step)).collect::<Vec<_>>();
    assert!(estimate(&numbers(996, 1)).sequential);
    assert!(estimate(&numbers(123_456_789, 17)).sequential);
    let hexadecimal: Vec<String> = (0..8).map(|at| format!("{:032x}", 0xfff0_u32 + at * 3)).collect();
    assert!(estimate(&hexadecimal).sequential);
    assert!(!series(8, |dice| dice.text("0123456789", 30)).sequential);
    assert!(!series(3, |dice| dice.text("0123456789", 4)).sequential);
}

#[test]
fn repeats_are_counted() {
    let found = estimate(&["abc", "abd", "abc", "abc"]);
    assert_eq!((found.repeats, found.samples), (2, 4));
}

#[test]
fn a_few_symbols_of_a_large_alphabet_count_as_few() {
    let found = series(8, |dice| dice.text("AZaz-_", 40));
    assert_eq!((found.alphabet.as_str(), found.symbols), ("base64url", 6));
}

#[test]
fn lengths_may_differ() {
    let mut length = 20;
    let found = series(8, |dice| {
        length += 1;
        format!("prefix_{}", dice.text(BASE64URL, length))
    });
    assert_eq!((found.min_len, found.max_len, found.varying, found.bits), (28, 35, 21, 126.0));
}

#[test]
fn signed_and_encrypted_tokens_are_recognised() {
    let header = URL_SAFE_NO_PAD.encode(br#"{"alg":"ES256"}"#);
    assert_eq!(series(8, |dice| format!("{header}.{}.{}", dice.text(BASE64URL, 60), dice.text(BASE64URL, 86))).shape, Shape::Jwt);
    assert_eq!(
        series(8, |dice| format!("{header}..{}.{}.{}", dice.text(HEX, 16), dice.text(HEX, 60), dice.text(HEX, 22))).shape,
        Shape::Jwe
    );
    assert_eq!(series(8, |dice| format!("a.b.{}", dice.text(HEX, 60))).shape, Shape::Opaque);
}

#[test]
fn odd_input_is_survived() {
    for samples in
        [vec![], vec![""], vec!["", ""], vec!["ä", "ö"], vec!["äx", "xä", "日本"], vec!["a", "ab", ""], vec![".", ".."]]
    {
        let found = estimate(&samples);
        assert!(found.bits.is_finite(), "{samples:?}");
        let text = serde_json::to_string(&found).unwrap();
        assert_eq!(serde_json::from_str::<Estimate>(&text).unwrap(), found);
    }
    assert_eq!(estimate(&["same", "same"]).bits, 0.0);
}
