//! `flamewarden token` as an operator runs it, and the token it makes with the other commands.

use std::os::unix::fs::PermissionsExt as _;

use crate::cli::flamewarden;
use crate::harness::{Flamewarden, Setup};

const NOBODY: &str = "http://127.0.0.1:9";

async fn new(file: &str, name: &str, more: &[&str]) -> (i32, String, String) {
    flamewarden(&[&["token", "new", "--name", name, "--role", "viewer", "--file", file], more].concat(), NOBODY).await
}

#[actix_web::test]
async fn a_token_is_made_used_listed_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    let file = path.to_str().unwrap();
    let (exit, token, errors) = new(file, "ci", &["--expires", "90d", "--project", "shop"]).await;
    assert_eq!((exit, errors.as_str()), (0, ""));
    let token = token.trim();
    assert!(token.starts_with("fw_") && token.len() == 46, "one token and nothing else");
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept.contains("name = \"ci\"") && !kept.contains(token));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);

    let server = Flamewarden::start_whole(Setup::of(&[("AUTH_TOKENS_FILE", file)])).await;
    let ask = async |token: &str| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_flamewarden"));
        command.args(["services", "--server", server.base()]).env("FLAMEWARDEN_TOKEN", token);
        let output = command.output().await.unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(ask(token).await, (3, String::new()), "it is let in, and there are no services");
    let (exit, errors) = ask("").await;
    assert_eq!(exit, 3);
    assert!(errors.contains("no credentials") && errors.contains("set FLAMEWARDEN_TOKEN"), "{errors}");

    assert_eq!(new(file, "sdk", &[]).await.0, 0);
    let (_, table, _) = flamewarden(&["token", "list", "--file", file], NOBODY).await;
    let rows: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["name", "role", "expires", "projects"]);
    assert_eq!((rows[1][0], rows[1][1], rows[1][3]), ("ci", "viewer", "shop"));
    assert_eq!(rows[2], ["sdk", "viewer", "never", "all"]);
    assert_eq!(flamewarden(&["token", "revoke", "ci", "--file", file], NOBODY).await.0, 0);
    let (exit, _, errors) = flamewarden(&["token", "revoke", "ci", "--file", file], NOBODY).await;
    assert_eq!(exit, 3, "{errors}");
    let left = std::fs::read_to_string(&path).unwrap();
    assert!(left.contains("name = \"sdk\"") && !left.contains("name = \"ci\""), "{left}");
}

#[actix_web::test]
async fn a_changed_file_keeps_its_mode_and_its_place_behind_a_link() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("tokens.toml"), folder.path().join("link.toml"));
    new(path.to_str().unwrap(), "one", &[]).await;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert_eq!(new(link.to_str().unwrap(), "two", &[]).await.0, 0);
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(std::fs::read_to_string(&path).unwrap().contains("name = \"two\""));
}

#[actix_web::test]
async fn tokens_made_at_once_are_all_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    let names: Vec<_> = (0..8).map(|n| format!("t{n}")).collect();
    let made = names.iter().map(|name| new(path.to_str().unwrap(), name, &[]));
    assert!(futures::future::join_all(made).await.iter().all(|(exit, ..)| *exit == 0));
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(names.iter().all(|name| kept.contains(&format!("name = \"{name}\""))), "{kept}");
}

#[actix_web::test]
async fn a_name_that_is_taken_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    let file = path.to_str().unwrap();
    new(file, "ci", &[]).await;
    let before = std::fs::read_to_string(&path).unwrap();
    let (exit, token, errors) = new(file, "ci", &[]).await;
    assert_eq!((exit, token.as_str()), (2, ""));
    assert!(errors.contains("the name ci is that of the token in line 2 too"), "{errors}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[actix_web::test]
async fn a_server_does_not_start_with_a_bad_file_of_tokens_or_open_to_everybody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens.toml");
    std::fs::write(&path, "[[token]]\nname = \"CI\"\n").unwrap();
    let start = async |variables: &[(&str, &str)]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_flamewarden"));
        command.env("PORT", "0").env("DATA_DIR", folder.path().join("data")).envs(variables.iter().copied());
        let output = command.output().await.unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (exit, errors) = start(&[("AUTH_TOKENS_FILE", path.to_str().unwrap())]).await;
    assert!(exit == 2 && errors.contains("line 1: missing field `hash`"), "{exit}: {errors}");
    let (exit, errors) = start(&[("HOST", "0.0.0.0")]).await;
    assert!(
        exit == 2 && errors.contains("listening on 0.0.0.0 without authentication: set ADMIN_TOKEN"),
        "{exit}: {errors}"
    );
}
