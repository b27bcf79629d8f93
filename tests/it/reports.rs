//! Reports that have a name, against what can be done at all. The format's crate knows nothing of the domain, so the words
//! are compared here.

use domain::{accounts, compliance, content, identity, kernel::action::Action, publishing};
use report_bundle::query::Kind;

#[test]
fn named_reports_ask_for_what_their_log_holds() {
    let actions: Vec<Action> = [
        accounts::actions::ALL,
        compliance::actions::ALL,
        compliance::actions::OF_OPERATORS,
        content::actions::ALL,
        identity::actions::ALL,
        publishing::actions::ALL,
    ]
    .concat();
    let mut asked = 0;
    for kind in Kind::NAMED {
        for word in kind.types() {
            let action = actions.iter().find(|action| action.name == *word);
            let stream = action.map(|action| action.stream.as_str());
            assert_eq!(stream, Some(kind.stream()), "{} asks for {word}", kind.word());
            asked += 1;
        }
    }
    assert!(asked > 30);
}
