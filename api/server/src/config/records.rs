//! Records of processing.

use std::collections::BTreeSet;

use domain::compliance::processing::Recipient;

use super::sections::Reader;

/// The section `records` of the default file.
#[derive(Clone, Debug)]
pub struct Records {
    /// `controller`, `representative`, `data_protection_officer` and `country`; `None` where no records are made.
    pub responsible: Option<[String; 4]>,
    /// `recipients`.
    pub recipients: Vec<Recipient>,
    /// `measures`.
    pub measures: Vec<String>,
}

/// Whether it is like a code of ISO 3166-1 alpha-2.
fn is_country(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase())
}

fn recipient(text: &str) -> Option<Recipient> {
    let (key, rest) = text.split_once('=')?;
    let mut parts = rest.split(';').map(|part| part.trim().to_owned());
    let (who, country, safeguard) = (parts.next()?, parts.next()?, parts.next()?);
    let is_whole = !who.is_empty() && !safeguard.is_empty() && parts.next().is_none();
    (is_country(&country) && is_whole).then(|| Recipient {
        key: key.trim().to_owned(),
        who,
        country,
        safeguard,
    })
}

impl Records {
    pub(super) fn read(r: &mut Reader<'_>) -> Self {
        let names = ["controller", "representative", "data_protection_officer", "country"];
        let is_wanted = !r.text("records.controller").trim().is_empty();
        let texts = names.map(|name| {
            let setting = format!("records.{name}");
            if is_wanted { r.filled(&setting) } else { r.text(&setting) }
        });
        let recipients: Vec<_> = r.list("records.recipients").iter().map(|text| recipient(text)).collect();
        if recipients.iter().any(Option::is_none) {
            r.fault(
                "records.recipients",
                "must each be \"<key>=<who>; <country, as CN>; <what protects data there, or none needed>\"",
            );
        }
        if is_wanted && !is_country(&texts[3]) {
            r.fault("records.country", "must be two letters, as CN");
        }
        let recipients: Vec<_> = recipients.into_iter().flatten().collect();
        let keys: BTreeSet<_> = recipients.iter().map(|recipient| &recipient.key).collect();
        if keys.len() < recipients.len() {
            r.fault("records.recipients", "must name each key once");
        }
        Self { responsible: is_wanted.then_some(texts), recipients, measures: r.list("records.measures") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_read_whole_or_not_at_all() {
        let good = recipient("mail = Post & Co, Bonn; DE; standard contract").expect("whole");
        assert_eq!(
            (good.key.as_str(), good.who.as_str(), good.country.as_str()),
            ("mail", "Post & Co, Bonn", "DE")
        );
        for bad in [
            "",
            "mail",
            "mail=x",
            "mail=x; DE",
            "mail=; DE; y",
            "mail=x; de; y",
            "mail=x; DE; ",
            "mail=x; DE; y; z",
        ] {
            assert_eq!(recipient(bad), None, "{bad}");
        }
    }
}
