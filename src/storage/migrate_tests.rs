use sqlx::ConnectOptions;

use super::*;
use crate::storage::testing::{TestDatabase, database, empty_database};
use crate::storage::{Db, PoolSettings, Repeat, Schema};

async fn connect(test: &TestDatabase) -> PgConnection {
    test.connect_options().connect().await.unwrap()
}

async fn execute(connection: &mut PgConnection, sql: &'static str) {
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

fn all() -> Vec<i64> {
    ups().map(|migration| migration.version).collect()
}

/// Everything in the catalogue that migrations make, in words.
async fn shape(connection: &mut PgConnection) -> Vec<String> {
    let shape = "
        SELECT format('%s %s %s %s %s', a.attrelid::regclass, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                      pg_get_expr(d.adbin, d.adrelid))
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
        WHERE connamespace::regnamespace::text NOT IN ('pg_catalog', 'information_schema')
        UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
        ORDER BY 1";
    sqlx::query_scalar(shape).fetch_all(connection).await.unwrap()
}

#[tokio::test]
async fn every_migration_has_a_way_back() {
    let back: Vec<i64> = downs().map(|migration| migration.version).collect();
    assert_eq!(back, all());
}

#[tokio::test]
async fn up_down_and_up_again_end_in_the_same_schema() {
    let test = empty_database().await;
    let mut connection = connect(&test).await;
    let empty = shape(&mut connection).await;
    assert_eq!(up(&mut connection, None).await.unwrap(), all());
    let full = shape(&mut connection).await;
    assert_eq!(up(&mut connection, None).await.unwrap(), Vec::<i64>::new());

    let mut back = all();
    back.reverse();
    assert_eq!(down(&mut connection, Some(0), false).await.unwrap(), back);
    execute(&mut connection, "DROP TABLE _sqlx_migrations").await;
    assert_eq!(shape(&mut connection).await, empty, "down leaves something behind");
    assert_eq!(up(&mut connection, None).await.unwrap(), all());
    assert_eq!(shape(&mut connection).await, full);
}

#[tokio::test]
async fn servers_that_start_at_once_migrate_once() {
    let test = empty_database().await;
    let servers: Vec<Db> = (0..6).map(|_| Db::open(test.connect_options(), PoolSettings::of_size(1))).collect();
    let prepared = futures::future::join_all(servers.iter().map(|db| db.prepare(true))).await;
    assert!(prepared.iter().all(Result::is_ok), "{prepared:?}");
    let statuses = status(&mut connect(&test).await).await.unwrap();
    assert!(statuses.iter().all(|s| matches!(s.state, State::Applied(_))), "{statuses:?}");
}

#[tokio::test]
async fn a_migration_edited_after_it_was_applied_is_refused_by_name() {
    let test = database().await;
    let mut connection = connect(&test).await;
    execute(&mut connection, r"UPDATE _sqlx_migrations SET checksum = '\x00' WHERE version = 1").await;
    let error = up(&mut connection, None).await.unwrap_err();
    assert!(matches!(error, MigrateError::Changed { version: 1, .. }), "{error:?}");
    assert!(error.to_string().starts_with("migration 1 (performance baseline) is applied"), "{error}");

    let db = Db::open(test.connect_options(), PoolSettings::of_size(1));
    db.prepare(true).await.unwrap_err();
    assert!(matches!(db.schema(), Schema::Refused(_)));
    assert!(!db.health().await.is_ready());
}

#[tokio::test]
async fn a_database_that_a_newer_binary_migrated_is_accepted() {
    let test = database().await;
    let mut connection = connect(&test).await;
    execute(
        &mut connection,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'later', true, '', 0)",
    )
    .await;
    assert_eq!(up(&mut connection, None).await.unwrap(), Vec::<i64>::new());
    let last = status(&mut connection).await.unwrap().pop().unwrap();
    assert!(matches!(last, Status { version: 9999, state: State::Newer(_), .. }), "{last:?}");
    let error = down(&mut connection, None, true).await.unwrap_err();
    assert!(matches!(error, MigrateError::Newer(9999)), "{error:?}");
    let db = Db::open(test.connect_options(), PoolSettings::of_size(1));
    db.prepare(false).await.unwrap();
}

#[tokio::test]
async fn rows_are_lost_only_by_those_who_say_so() {
    let test = database().await;
    let mut connection = connect(&test).await;
    execute(
        &mut connection,
        "INSERT INTO performance_baseline (app_name, profile_type, function_name, max_self_percent) VALUES ('a', 'cpu', 'f', 1)",
    )
    .await;
    let error = down(&mut connection, Some(0), false).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "these tables hold rows that would be lost: core.audit_log, core.audit_user, public.performance_baseline; say --yes to lose them"
    );
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM performance_baseline").fetch_one(&mut connection).await.unwrap();
    assert_eq!(rows, 1);
    let statuses = status(&mut connection).await.unwrap();
    assert!(statuses.iter().all(|s| matches!(s.state, State::Applied(_))), "nothing was taken back: {statuses:?}");
    assert_eq!(down(&mut connection, Some(0), true).await.unwrap().len(), all().len());
}

#[tokio::test]
async fn down_takes_back_the_newest_alone_unless_told_how_far() {
    let test = database().await;
    let mut connection = connect(&test).await;
    let newest = *all().last().unwrap();
    assert_eq!(down(&mut connection, None, false).await.unwrap(), [newest]);
    assert!(matches!(down(&mut connection, Some(4711), false).await, Err(MigrateError::Unknown(4711))));
}

#[tokio::test]
async fn without_migrating_the_schema_is_waited_for() {
    let test = empty_database().await;
    let db = Db::open(test.connect_options(), PoolSettings::of_size(2));
    let waiting = tokio::spawn({
        let db = db.clone();
        async move { db.prepare(false).await }
    });
    let mut schema = db.schema.subscribe();
    let missing =
        schema.wait_for(|s| matches!(s, Schema::Waiting(why) if why.public.starts_with("migrations are missing: 1")));
    drop(missing.await.unwrap());
    let health = db.health().await;
    assert!(!health.is_ready(), "{health:?}");
    up(&mut connect(&test).await, None).await.unwrap();
    waiting.await.unwrap().unwrap();
    assert!(db.health().await.is_ready());
}

#[tokio::test]
async fn the_printed_ddl_run_by_hand_counts_as_migrated() {
    let test = empty_database().await;
    let mut connection = connect(&test).await;
    sqlx::raw_sql(AssertSqlSafe(sql())).execute(&mut connection).await.unwrap();
    check_applied(&mut connection).await.unwrap();
    assert_eq!(up(&mut connection, None).await.unwrap(), Vec::<i64>::new());
    let other = database().await;
    let mut migrated = connect(&other).await;
    assert_eq!(shape(&mut connection).await, shape(&mut migrated).await);
}

#[tokio::test]
async fn every_test_has_a_migrated_database_of_its_own() {
    let (a, b) = (database().await, database().await);
    let name = "SELECT current_database()";
    let mut names = Vec::new();
    for test in [&a, &b] {
        assert_eq!(test.db.schema(), Schema::Ready);
        let found = test.db.run(Repeat::Safe, |c| Box::pin(sqlx::query_scalar::<_, String>(name).fetch_one(c)));
        let found = found.await.unwrap();
        assert_eq!(test.connect_options().get_database(), Some(found.as_str()));
        names.push(found);
    }
    assert_ne!(names[0], names[1]);
}

/// The tables as somebody who reads the contract would create them.
const BY_HAND: &str = "
    CREATE TABLE performance_baseline (
        id serial PRIMARY KEY, app_name varchar(255) NOT NULL, profile_type varchar(50) NOT NULL,
        function_name varchar(512) NOT NULL, max_self_percent numeric NOT NULL, severity varchar(20) DEFAULT 'warning',
        created_by varchar(255), created_at timestamp DEFAULT now(), updated_at timestamp DEFAULT now(),
        UNIQUE (app_name, profile_type, function_name));
    CREATE TABLE triage_history (
        id serial PRIMARY KEY, app_name varchar(255) NOT NULL, profile_types varchar(100), diagnosis varchar(100) NOT NULL,
        severity varchar(20) NOT NULL, top_functions jsonb, recommendation text, requested_by varchar(255),
        created_at timestamp DEFAULT now());
    INSERT INTO performance_baseline (app_name, profile_type, function_name, max_self_percent, severity, created_at)
        VALUES ('shop', 'cpu', 'a', 12.5, 'critical', '2024-01-02 03:04:05'), ('shop', 'cpu', 'over the top', 120, 'WARNING', NULL);
    INSERT INTO triage_history (app_name, diagnosis, severity) VALUES ('shop', 'gc_pressure', 'high');";

#[tokio::test]
async fn tables_made_by_hand_are_adopted_with_their_rows() {
    let test = empty_database().await;
    let mut connection = connect(&test).await;
    execute(&mut connection, BY_HAND).await;
    assert_eq!(up(&mut connection, None).await.unwrap(), all());

    let rows: Vec<(i32, String, f64, String)> =
        sqlx::query_as("SELECT id, function_name, max_self_percent, severity FROM performance_baseline ORDER BY id")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert_eq!(
        rows,
        [(1, "a".into(), 12.5, "critical".into()), (2, "over the top".into(), 120.0, "warning".into())],
        "a row that breaks a new check stays, and the check is taken off"
    );
    let at: DateTime<Utc> = sqlx::query_scalar("SELECT created_at FROM performance_baseline WHERE id = 1")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(at.to_rfc3339(), "2024-01-02T03:04:05+00:00");
    let refused = sqlx::query(
        "INSERT INTO performance_baseline (app_name, profile_type, function_name, max_self_percent, severity)
         VALUES ('shop', 'cpu', 'b', 1, 'dreadful')",
    )
    .execute(&mut connection)
    .await
    .unwrap_err();
    let name = refused.as_database_error().and_then(|e| e.constraint().map(str::to_owned));
    assert_eq!(name.as_deref(), Some("performance_baseline_severity_check"));

    let key: Option<uuid::Uuid> =
        sqlx::query_scalar("SELECT idempotency_key FROM triage_history WHERE app_name = 'shop'")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(key, None);
    let db = Db::open(test.connect_options(), PoolSettings::of_size(1));
    db.prepare(false).await.unwrap();
}
