//! What an audited table writes to the log.

use serde_json::json;
use sqlx::PgConnection;

use super::super::conformance::all;
use super::super::{AuditEntry, AuditMethod};
use super::{run, session, sqlstate};
use crate::kernel::{Call, Caller};
use crate::storage::acting;
use crate::storage::testing::{TestDatabase, database};

const TABLE: &str = "
    CREATE TABLE public.thing (id int PRIMARY KEY, app_name text, project text, body jsonb, secret text, created_by text,
                               updated_at timestamptz DEFAULT now());
    SELECT core.audited('public.thing', 'thing', 'id', left_out => '{secret}')";

struct Audited {
    test: TestDatabase,
    connection: PgConnection,
}

impl Audited {
    async fn table() -> Self {
        let test = database().await;
        let mut connection = session(&test).await;
        run(&mut connection, TABLE).await;
        Self { test, connection }
    }

    async fn run(&mut self, sql: &str) {
        run(&mut self.connection, sql).await;
    }

    /// Runs a statement with the actor of a call in `$1`.
    async fn act(&mut self, sql: &'static str, call: &Call) {
        sqlx::query(sql).bind(acting(call)).execute(&mut self.connection).await.unwrap();
    }

    /// The whole log, the oldest first.
    async fn log(&self) -> Vec<AuditEntry> {
        let mut rows = all(&*super::super::local(self.test.db.clone())).await;
        rows.reverse();
        rows
    }
}

fn token(name: &str) -> Call {
    let actor = format!("token:{name}").parse().unwrap();
    let caller = Caller { actor, client: Some("192.0.2.7".parse().unwrap()), projects: None };
    Call::default().by(caller).of_request(format!("r-{name}")).from_agent("curl/8.5")
}

#[tokio::test]
async fn a_change_has_one_row_of_who_made_it_and_what_was_before_and_after() {
    let mut audited = Audited::table().await;
    let insert = "INSERT INTO public.thing (id, app_name, project, secret, created_by)
                  SELECT 7, 'shop', 'cart', 'x', 'ana' FROM core.acting($1)";
    audited.act(insert, &token("ana")).await;
    let update = "UPDATE public.thing SET app_name = 'store', updated_at = now() FROM core.acting($1) WHERE id = 7";
    audited.act(update, &token("bob")).await;
    audited.act("DELETE FROM public.thing USING core.acting($1) WHERE id = 7", &token("ci")).await;
    let log = audited.log().await;
    let said: Vec<_> = log
        .iter()
        .map(|row| (row.action.as_str(), row.user_id.as_deref().unwrap(), row.request_id.as_deref().unwrap()))
        .collect();
    let expected = [
        ("thing.create", "token:ana", "r-ana"),
        ("thing.update", "token:bob", "r-bob"),
        ("thing.delete", "token:ci", "r-ci"),
    ];
    assert_eq!(said, expected);
    for row in &log {
        assert_eq!((row.resource_type.as_str(), row.resource_id.as_deref()), ("thing", Some("7")));
        assert_eq!((row.access_method, row.client_ip.unwrap().to_string().as_str()), (AuditMethod::Token, "192.0.2.7"));
        assert_eq!((row.user_agent.as_deref(), row.times), (Some("curl/8.5"), 1));
        assert_eq!(row.project_id.as_deref(), Some("cart"));
        let shown = row.after.as_ref().or(row.before.as_ref()).unwrap();
        assert_eq!(crate::sor::testing::members(shown), ["app_name", "body", "id", "project", "updated_at"]);
    }
    assert_eq!((&log[0].before, &log[2].after), (&None, &None));
    let name = |row: &Option<serde_json::Value>| row.as_ref().unwrap()["app_name"].clone();
    assert_eq!((name(&log[1].before), name(&log[1].after)), (json!("shop"), json!("store")));
    assert_eq!(log[1].app_name.as_deref(), Some("store"));
}

#[tokio::test]
async fn a_change_past_the_server_is_of_the_role_that_made_it() {
    let mut audited = Audited::table().await;
    audited.run("SET application_name = 'psql'; INSERT INTO public.thing (id) VALUES (1)").await;
    let role: String =
        sqlx::query_scalar("SELECT session_user::text").fetch_one(&mut audited.connection).await.unwrap();
    audited.run("TRUNCATE public.thing").await;
    let log = audited.log().await;
    let said: Vec<_> = log.iter().map(|row| (row.action.as_str(), row.user_id.clone().unwrap())).collect();
    let user = format!("sql:{role}");
    assert_eq!(said, [("thing.create", user.clone()), ("thing.truncate", user)]);
    assert_eq!((log[0].access_method, log[0].user_agent.as_deref()), (AuditMethod::Sql, Some("psql")));
}

#[tokio::test]
async fn a_role_without_rights_on_the_log_still_leaves_its_row() {
    let mut audited = Audited::table().await;
    let role = format!("stranger_{}", std::process::id());
    audited.run(&format!("CREATE ROLE {role}; GRANT INSERT ON public.thing TO {role}")).await;
    audited.run(&format!("SET ROLE {role}")).await;
    assert_eq!(sqlstate(&mut audited.connection, "SELECT 1 FROM core.audit_log").await, "42501");
    audited.run("INSERT INTO public.thing (id) VALUES (1); RESET ROLE").await;
    assert_eq!(audited.log().await.len(), 1);
    audited.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn who_acted_is_forgotten_with_the_transaction() {
    let mut audited = Audited::table().await;
    audited.act("INSERT INTO public.thing (id) SELECT 1 FROM core.acting($1)", &token("ana")).await;
    audited.run("INSERT INTO public.thing (id) VALUES (2)").await;
    assert_eq!(audited.log().await[1].access_method, AuditMethod::Sql);
}

#[tokio::test]
async fn a_change_that_is_taken_back_has_no_row() {
    let mut audited = Audited::table().await;
    audited.run("BEGIN; INSERT INTO public.thing (id) VALUES (1); ROLLBACK").await;
    assert_eq!(audited.log().await, []);
}

#[tokio::test]
async fn only_the_time_of_the_change_is_no_change_and_a_quiet_one_has_no_row() {
    let mut audited = Audited::table().await;
    let quiet = r#"core.acting('{"actor": "system:history", "method": "system", "quiet": true}')"#;
    audited.run(&format!("INSERT INTO public.thing (id) SELECT 1 FROM {quiet}")).await;
    audited.run("UPDATE public.thing SET updated_at = '2001-02-03'").await;
    assert_eq!(audited.log().await, []);
}

#[tokio::test]
async fn a_long_value_is_kept_as_its_digest() {
    let mut audited = Audited::table().await;
    audited.run("INSERT INTO public.thing (id, app_name, body) VALUES (1, repeat('x', 8193), jsonb_build_object('a', repeat('y', 8192)))").await;
    audited.run("INSERT INTO public.thing (id, app_name, project) VALUES (2, repeat('x', 8192), 'cart')").await;
    let log = audited.log().await;
    let after = log[0].after.as_ref().unwrap();
    assert_eq!(after["app_name"]["bytes"], 8_193);
    assert_eq!(after["app_name"]["sha256"], json!(sha256(&"x".repeat(8_193))));
    assert_eq!(after["body"]["bytes"], 8_192 + 9);
    assert_eq!((&after["id"], &after["project"]), (&json!(1), &json!(null)));
    let after = log[1].after.as_ref().unwrap();
    assert_eq!((after["app_name"].as_str().unwrap().len(), &after["project"]), (8_192, &json!("cart")));
}

fn sha256(text: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn the_log_takes_back_nothing_not_even_for_its_owner() {
    let mut audited = Audited::table().await;
    audited.run("INSERT INTO public.thing (id) VALUES (1)").await;
    let refused = async |audited: &mut Audited, table: &str| {
        for sql in
            [format!("UPDATE {table} SET times = 2"), format!("DELETE FROM {table}"), format!("TRUNCATE {table}")]
        {
            assert_eq!(sqlstate(&mut audited.connection, &sql).await, "42501", "{sql}");
        }
    };
    refused(&mut audited, "core.audit_log").await;
    refused(&mut audited, "core.audit_log_default").await;
    let clock = std::sync::Arc::new(crate::kernel::SystemClock);
    super::super::AuditChain::new(audited.test.db.clone(), clock, None).upkeep(&crate::kernel::CALL).await.unwrap();
    let months = "SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class ON oid = inhrelid
                  WHERE inhparent = 'core.audit_log'::regclass ORDER BY 1";
    let months: Vec<String> = sqlx::query_scalar(months).fetch_all(&mut audited.connection).await.unwrap();
    assert!(months.len() >= 5, "this month, three more and DEFAULT: {months:?}");
    // The row was moved to the partition of its month.
    refused(&mut audited, &months[0]).await;
    for month in &months {
        assert_eq!(sqlstate(&mut audited.connection, &format!("TRUNCATE {month}")).await, "42501");
    }
    assert_eq!(sqlstate(&mut audited.connection, "DELETE FROM core.audit_user").await, "23503");
    assert_eq!(audited.log().await.len(), 1);
}

#[tokio::test]
async fn a_person_can_be_forgotten_and_the_rows_stay() {
    let mut audited = Audited::table().await;
    audited.act("INSERT INTO public.thing (id) SELECT 1 FROM core.acting($1)", &token("ana")).await;
    audited.run("UPDATE core.audit_user SET name = NULL WHERE name = 'token:ana'").await;
    audited.act("INSERT INTO public.thing (id) SELECT 2 FROM core.acting($1)", &token("ana")).await;
    let users: Vec<_> = audited.log().await.into_iter().map(|row| row.user_id).collect();
    assert_eq!(users, [None, Some("token:ana".to_owned())]);
}
