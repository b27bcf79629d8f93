//! Records of processing.

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

fn recipient(text: &str) -> Option<Recipient> {
    let (key, rest) = text.split_once('=')?;
    let mut parts = rest.split(';').map(|part| part.trim().to_owned());
    let (who, country, safeguard) = (parts.next()?, parts.next()?, parts.next()?);
    let is_country = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_whole = !who.is_empty() && !safeguard.is_empty() && parts.next().is_none();
    (is_country && is_whole).then(|| Recipient { key: key.trim().to_owned(), who, country, safeguard })
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
        Self {
            responsible: is_wanted.then_some(texts),
            recipients: recipients.into_iter().flatten().collect(),
            measures: r.list("records.measures"),
        }
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
