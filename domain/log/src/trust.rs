//! Whom to believe, as a file (C2SP tlog-policy): logs, witnesses, and which of them together are a quorum.

use std::{collections::BTreeSet, fmt};

use crate::note::{NoteError, VerifierKey, VerifierKind};

/// Longest file read, in bytes.
const FILE_MAX_BYTES: usize = 64 * 1024;

/// A witness, and where it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedWitness {
    /// What the file calls it.
    pub name: String,
    /// Its key.
    pub key: VerifierKey,
    /// Its submission prefix (C2SP tlog-witness), when the file says it.
    pub url: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    name: String,
    least: usize,
    members: Vec<Member>,
}

/// By its place among the witnesses or groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Witness(usize),
    Group(usize),
}

/// A trust policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustPolicy {
    logs: Vec<(VerifierKey, Option<String>)>,
    witnesses: Vec<TrustedWitness>,
    groups: Vec<Group>,
    /// `None` for `quorum none`.
    quorum: Option<Member>,
}

/// Why a file is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct TrustFault {
    /// Which line, from 1; one past the last when something is missing.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl TrustPolicy {
    /// No logs, no witnesses, none needed.
    pub const fn empty() -> Self {
        Self { logs: Vec::new(), witnesses: Vec::new(), groups: Vec::new(), quorum: None }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, TrustFault> {
        let fault = |line, problem: &str| TrustFault { line, problem: problem.to_owned() };
        if text.len() > FILE_MAX_BYTES {
            return Err(fault(1, "the file is too long"));
        }
        if text.chars().any(|c| c.is_ascii_control() && c != '\n' && c != '\t') {
            return Err(fault(1, "the file has control characters"));
        }
        let mut policy = Self::empty();
        let (mut has_quorum, mut taken, mut lines) = (false, BTreeSet::new(), 0);
        for (line, content) in (1..).zip(text.lines()) {
            lines = line;
            let words: Vec<_> = content.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            let done = match words.as_slice() {
                [] => Ok(()),
                [first, ..] if first.starts_with('#') => Ok(()),
                ["log", key, rest @ ..] if rest.len() < 2 => policy.add_log_text(key, rest.first().copied()),
                ["witness", name, key, rest @ ..] if rest.len() < 2 => {
                    policy.add_witness_text(name, key, rest.first().copied())
                }
                ["group", name, least, members @ ..] => policy.add_group(name, least, members, &mut taken),
                ["quorum", _] if has_quorum => Err("a second quorum".to_owned()),
                ["quorum", "none"] => {
                    has_quorum = true;
                    Ok(())
                }
                ["quorum", name] => {
                    has_quorum = true;
                    policy.quorum = policy.member(name);
                    policy.quorum.map(|_| ()).ok_or_else(|| format!("{name} is not defined above"))
                }
                _ => Err("is none of log, witness, group and quorum, with what belongs to it".to_owned()),
            };
            done.map_err(|problem| TrustFault { line, problem })?;
        }
        if has_quorum { Ok(policy) } else { Err(fault(lines + 1, "there is no quorum")) }
    }

    /// Believes a log as well.
    ///
    /// # Errors
    /// What is wrong with the key.
    pub fn add_log(&mut self, key: VerifierKey, url: Option<String>) -> Result<(), String> {
        if key.kind() != VerifierKind::Ed25519 {
            return Err("the key of a log must sign checkpoints".to_owned());
        }
        // One key may sign several logs, each under its own name: what is signed says which.
        if self.logs.iter().any(|(known, _)| known.name() == key.name() && known.public() == key.public()) {
            return Err("the key is listed already".to_owned());
        }
        self.logs.push((key, url));
        Ok(())
    }

    /// The keys of logs.
    pub fn logs(&self) -> impl Iterator<Item = &VerifierKey> {
        self.logs.iter().map(|(key, _)| key)
    }

    /// All witnesses, also those that the quorum does without.
    pub fn witnesses(&self) -> &[TrustedWitness] {
        &self.witnesses
    }

    /// Whether anybody must have cosigned.
    pub const fn wants_witnesses(&self) -> bool {
        self.quorum.is_some()
    }

    /// Whether those who cosigned (by their keys) are enough.
    pub fn is_met(&self, cosigned: &[&VerifierKey]) -> bool {
        self.quorum.is_none_or(|quorum| self.has_witnessed(quorum, cosigned))
    }

    fn has_witnessed(&self, member: Member, cosigned: &[&VerifierKey]) -> bool {
        match member {
            Member::Witness(place) => {
                self.witnesses.get(place).is_some_and(|witness| cosigned.contains(&&witness.key))
            }
            // A group names only what was defined before it, so this ends.
            Member::Group(place) => self.groups.get(place).is_some_and(|group| {
                let enough = group.members.iter().filter(|member| self.has_witnessed(**member, cosigned));
                enough.count() >= group.least
            }),
        }
    }

    fn member(&self, name: &str) -> Option<Member> {
        let witness = self.witnesses.iter().position(|witness| witness.name == name).map(Member::Witness);
        witness.or_else(|| self.groups.iter().position(|group| group.name == name).map(Member::Group))
    }

    fn name_of(&self, member: Member) -> &str {
        match member {
            Member::Witness(place) => self.witnesses.get(place).map_or("", |witness| &witness.name),
            Member::Group(place) => self.groups.get(place).map_or("", |group| &group.name),
        }
    }

    fn check_name(&self, name: &str) -> Result<(), String> {
        if name == "none" || self.member(name).is_some() {
            return Err(format!("{name} is taken"));
        }
        Ok(())
    }

    fn add_log_text(&mut self, key: &str, url: Option<&str>) -> Result<(), String> {
        let key = VerifierKey::parse(key).map_err(|fault: NoteError| fault.to_string())?;
        self.add_log(key, url.map(str::to_owned))
    }

    fn add_witness_text(&mut self, name: &str, key: &str, url: Option<&str>) -> Result<(), String> {
        self.check_name(name)?;
        let key = VerifierKey::parse(key).map_err(|fault| fault.to_string())?;
        if key.kind() != VerifierKind::Cosignature {
            return Err("the key of a witness must cosign".to_owned());
        }
        // A cosignature does not say which name it was made under: one key would count twice.
        if self.witnesses.iter().any(|witness| witness.key.public() == key.public()) {
            return Err("the key is listed already".to_owned());
        }
        self.witnesses.push(TrustedWitness { name: name.to_owned(), key, url: url.map(str::to_owned) });
        Ok(())
    }

    fn add_group(
        &mut self,
        name: &str,
        least: &str,
        members: &[&str],
        taken: &mut BTreeSet<Member>,
    ) -> Result<(), String> {
        self.check_name(name)?;
        let mut found = Vec::with_capacity(members.len());
        for member in members {
            let known = self.member(member).ok_or_else(|| format!("{member} is not defined above"))?;
            // So that each counts towards the quorum in one way only.
            if !taken.insert(known) {
                return Err(format!("{member} is in a group already"));
            }
            found.push(known);
        }
        let least = match least {
            "all" => Some(found.len()),
            "any" => Some(1),
            digits => digits.parse().ok().filter(|least: &usize| least.to_string() == digits),
        };
        let least = least.filter(|least| (1..=found.len()).contains(least));
        let least = least.ok_or("the threshold must be all, any or 1 to the number of members")?;
        self.groups.push(Group { name: name.to_owned(), least, members: found });
        Ok(())
    }
}

/// The file, as [`TrustPolicy::parse`] reads it, without comments.
impl fmt::Display for TrustPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = |url: &Option<String>| url.as_ref().map(|url| format!(" {url}")).unwrap_or_default();
        for (key, at) in &self.logs {
            writeln!(f, "log {key}{}", url(at))?;
        }
        for witness in &self.witnesses {
            writeln!(f, "witness {} {}{}", witness.name, witness.key, url(&witness.url))?;
        }
        for group in &self.groups {
            write!(f, "group {} {}", group.name, group.least)?;
            group.members.iter().try_for_each(|member| write!(f, " {}", self.name_of(*member)))?;
            writeln!(f)?;
        }
        writeln!(f, "quorum {}", self.quorum.map_or("none", |quorum| self.name_of(quorum)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::{Cosigner, NoteSigner};

    fn witness(seed: u8) -> VerifierKey {
        let name = format!("witness.example.com/{seed}");
        Cosigner::from_seed(&name, &[seed; 32]).expect("a plain name").verifier().clone()
    }

    fn log() -> VerifierKey {
        NoteSigner::from_seed("audit.example.com/platform", &[99; 32])
            .expect("a plain name")
            .verifier()
            .clone()
    }

    fn nested() -> String {
        let head = format!("# ours\nlog {} https://log.example.com/\n\n", log());
        let witnesses = (1..=5_u8)
            .map(|seed| format!("  witness w{seed}\t{} https://w{seed}.example.com\n", witness(seed)));
        head + &witnesses.collect::<String>()
            + "group a 2 w1 w2 w3\ngroup b any w4 w5\ngroup both all a b\nquorum both\n"
    }

    #[test]
    fn policies_come_back() {
        let policy = TrustPolicy::parse(&nested()).expect("good");
        let written = policy.to_string();
        assert_eq!(TrustPolicy::parse(&written), Ok(policy.clone()));
        assert!(written.contains("group a 2 w1 w2 w3\n") && written.ends_with("quorum both\n"), "{written}");
        assert_eq!(policy.logs().collect::<Vec<_>>(), [&log()]);
        assert_eq!(policy.witnesses()[1].url.as_deref(), Some("https://w2.example.com"));
        assert_eq!(TrustPolicy::parse("quorum none\n"), Ok(TrustPolicy::empty()));
        assert_eq!(TrustPolicy::empty().to_string(), "quorum none\n");
    }

    #[test]
    fn a_quorum_is_met_by_groups_of_groups() {
        let policy = TrustPolicy::parse(&nested()).expect("good");
        for (cosigned, met) in [
            (&[][..], false),
            (&[1, 2, 3], false),
            (&[4, 5, 1], false),
            (&[1, 2, 4], true),
            (&[2, 3, 5], true),
            (&[1, 2, 3, 4, 5], true),
            (&[1, 1, 4], false),
            (&[1, 6, 4], false),
        ] {
            let keys: Vec<_> = cosigned.iter().map(|seed| witness(*seed)).collect();
            assert_eq!(policy.is_met(&keys.iter().collect::<Vec<_>>()), met, "{cosigned:?}");
        }
        assert!(TrustPolicy::empty().is_met(&[]));
    }

    #[test]
    fn what_makes_no_sense_is_refused_at_its_line() {
        let w1 = format!("witness w1 {}\n", witness(1));
        for (text, line) in [
            (String::new(), 1),
            (w1.clone(), 2),
            ("quorum none\nquorum none\n".to_owned(), 2),
            ("quorum w1\n".to_owned(), 1),
            (format!("{w1}witness w1 {}\nquorum none\n", witness(2)), 2),
            (format!("{w1}witness w2 {}\nquorum none\n", witness(1)), 2),
            (format!("witness none {}\nquorum none\n", witness(1)), 1),
            (format!("witness w1 {}\nquorum none\n", log()), 1),
            (format!("log {}\nquorum none\n", witness(1)), 1),
            (format!("log {0}\nlog {0}\nquorum none\n", log()), 2),
            (format!("{w1}group g 2 w1\nquorum g\n"), 2),
            (format!("{w1}group g 0 w1\nquorum g\n"), 2),
            (format!("{w1}group g 01 w1\nquorum g\n"), 2),
            (format!("{w1}group g all\nquorum g\n"), 2),
            (format!("{w1}group g all w1 w1\nquorum g\n"), 2),
            (format!("{w1}group g all w1\ngroup h all w1\nquorum h\n"), 3),
            (format!("{w1}group g all h\nquorum g\n"), 2),
            ("quorum none \r\n".to_owned(), 1),
            ("witnes x\nquorum none\n".to_owned(), 1),
            ("log x\nquorum none\n".to_owned(), 1),
        ] {
            assert_eq!(TrustPolicy::parse(&text).map_err(|fault| fault.line), Err(line), "{text}");
        }
    }
}
