//! deny.toml as far as the rules need it. It is written one entry a line, and read so: an entry in another form is a
//! finding, not an entry passed over.

/// One line of `[bans] deny`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ban<'a> {
    pub(super) line: usize,
    pub(super) name: &'a str,
    /// Who may depend on it; nobody when empty.
    pub(super) wrappers: Vec<&'a str>,
}

/// What deny.toml says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Deny<'a> {
    pub(super) bans: Vec<Ban<'a>>,
    /// Licences that may be depended on, as SPDX has them.
    pub(super) licences: Vec<&'a str>,
    /// Lines of these lists that could not be read.
    pub(super) unread: Vec<usize>,
}

impl<'a> Deny<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let mut deny = Self::default();
        let mut list = None;
        for (number, line) in text.lines().enumerate() {
            let (number, line) = (number + 1, line.trim());
            match (line, list) {
                ("deny = [" | "allow = [", _) => list = line.split(' ').next(),
                ("]", _) => list = None,
                ("", _) | (_, None) => {}
                _ if line.starts_with('#') => {}
                (_, Some("deny")) => match ban(number, line) {
                    Some(ban) => deny.bans.push(ban),
                    None => deny.unread.push(number),
                },
                (_, Some(_)) => match quoted(line).first() {
                    Some(licence) => deny.licences.push(licence),
                    None => deny.unread.push(number),
                },
            }
        }
        deny
    }

    /// Whether the licences allowed are enough for a crate's SPDX expression (`/` is an old way to write `OR`).
    pub(super) fn allows(&self, expression: &str) -> bool {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let words: Vec<_> = spaced.split_whitespace().collect();
        let mut at = 0;
        let allowed = self.any(&words, &mut at);
        !words.is_empty() && at == words.len() && allowed
    }

    fn any(&self, words: &[&str], at: &mut usize) -> bool {
        let mut allowed = self.all(words, at);
        while words.get(*at) == Some(&"OR") {
            *at += 1;
            allowed |= self.all(words, at);
        }
        allowed
    }

    fn all(&self, words: &[&str], at: &mut usize) -> bool {
        let mut allowed = self.one(words, at);
        while words.get(*at) == Some(&"AND") {
            *at += 1;
            allowed &= self.one(words, at);
        }
        allowed
    }

    fn one(&self, words: &[&str], at: &mut usize) -> bool {
        let Some(word) = words.get(*at) else { return false };
        *at += 1;
        if *word == "(" {
            let allowed = self.any(words, at);
            let closed = words.get(*at) == Some(&")");
            *at += 1;
            return allowed && closed;
        }
        if words.get(*at) == Some(&"WITH") {
            let whole = format!("{word} WITH {}", words.get(*at + 1).copied().unwrap_or_default());
            *at += 2;
            return self.licences.contains(&whole.as_str());
        }
        self.licences.contains(word)
    }
}

fn ban(line: usize, text: &str) -> Option<Ban<'_>> {
    let entry = text.strip_prefix("{ crate = ")?.strip_suffix("},")?;
    // An entry without its reason is half an entry.
    let (entry, reason) = entry.split_once("reason = ")?;
    let (name, wrappers) = match entry.split_once("wrappers = [") {
        Some((name, wrappers)) => (name, quoted(wrappers.split_once(']')?.0)),
        None => (entry, Vec::new()),
    };
    let names = quoted(name);
    (names.len() == 1 && quoted(reason).len() == 1).then(|| Ban { line, name: names[0], wrappers })
}

fn quoted(text: &str) -> Vec<&str> {
    text.split('"').skip(1).step_by(2).collect()
}

#[test]
fn entries_are_read_and_others_are_told() {
    let text = r#"
[licenses]
allow = [
    "MIT",
    # a remark
    "Apache-2.0 WITH LLVM-exception",
]
[bans]
deny = [
    { crate = "ring", reason = "one provider" },
    { crate = "redis", wrappers = ["infra", "tests"], reason = "its folder" },
    { name = "x" },
    { crate = "no-reason", wrappers = [] },
]
"#;
    let deny = Deny::parse(text);
    assert_eq!(deny.licences, ["MIT", "Apache-2.0 WITH LLVM-exception"]);
    assert_eq!(
        deny.bans,
        [
            Ban { line: 10, name: "ring", wrappers: vec![] },
            Ban { line: 11, name: "redis", wrappers: vec!["infra", "tests"] },
        ]
    );
    assert_eq!(deny.unread, [12, 13]);
}

#[test]
fn licence_expressions_are_weighed() {
    let deny = Deny { licences: vec!["MIT", "ISC", "Apache-2.0 WITH LLVM-exception"], ..Deny::default() };
    for good in
        ["MIT", "GPL-3.0 OR MIT", "GPL-3.0/MIT", "ISC AND (MIT OR X)", "Apache-2.0 WITH LLVM-exception"]
    {
        assert!(deny.allows(good), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND X",
        "(X OR Y) AND MIT",
        "Apache-2.0",
        "MIT WITH Y",
        "(MIT",
        "MIT)",
        "MIT MIT",
        "OR",
    ] {
        assert!(!deny.allows(bad), "{bad}");
    }
}
