//! The demo tells its whole story on stores of its own, and ends well.

use std::process::Stdio;

use domain::kernel::ids::IdSource as _;
use harness::process::program;
use infra::system::System;

#[tokio::test]
async fn the_story_is_told_to_its_end() {
    let dir = std::env::temp_dir().join(format!("matricula-demo-{}", System.next_uuid().simple()));
    let told = tokio::process::Command::new(program("matricula").unwrap())
        .args(["demo", "--exit", "--port", "0", "--dir"])
        .arg(&dir)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert!(told.status.success(), "{text}");
    let step = |line: &str| line.trim_start().split_once(". ")?.0.parse::<u32>().ok();
    let steps: Vec<_> = text.lines().filter_map(step).collect();
    assert!(steps.len() >= 27 && steps.iter().copied().eq(1..=u32::try_from(steps.len()).unwrap()), "{text}");
    let _ = std::fs::remove_dir_all(dir);
}
