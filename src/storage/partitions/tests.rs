use rstest::rstest;
use sqlx::ConnectOptions;

use super::*;
use crate::storage::testing::{TestDatabase, database};

/// Kept for two days.
const DAYS: PartitionedTable = PartitionedTable {
    name: TableName::new("test", "event"),
    period: Period::Day,
    days_ahead: 3,
    retention: Some(TimeDelta::days(2)),
    lock_timeout: Duration::from_millis(500),
};
const MONTHS: PartitionedTable = PartitionedTable { period: Period::Month, ..DAYS };

/// An identity and a generated column are what rows are hardest to move with.
const TABLE: &str = "
    CREATE SCHEMA test;
    CREATE TABLE test.event (
        id bigint GENERATED ALWAYS AS IDENTITY,
        at timestamptz NOT NULL,
        ms integer NOT NULL,
        slow boolean GENERATED ALWAYS AS (ms > 10) STORED,
        PRIMARY KEY (id, at)
    ) PARTITION BY RANGE (at)";
const DEFAULT: &str = "CREATE TABLE test.event_default PARTITION OF test.event DEFAULT";

async fn table(statements: &'static [&'static str]) -> TestDatabase {
    let test = database().await;
    for statement in statements {
        execute(&test, statement).await;
    }
    test
}

async fn execute(test: &TestDatabase, sql: &'static str) {
    test.db.run(Repeat::Unsafe, |c| Box::pin(sqlx::raw_sql(sql).execute(c))).await.unwrap();
}

/// A transaction of another session that has run a statement and is still open.
async fn transaction(test: &TestDatabase, sql: &'static str) -> PgConnection {
    let mut connection = test.connect_options().connect().await.unwrap();
    sqlx::raw_sql("BEGIN").execute(&mut connection).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection
}

async fn commit(mut connection: PgConnection) {
    sqlx::raw_sql("COMMIT").execute(&mut connection).await.unwrap();
}

/// Every row with its partition, as text.
async fn rows(test: &TestDatabase) -> Vec<String> {
    let sql = "SELECT concat_ws(' ', tableoid::regclass, id, to_char(at AT TIME ZONE 'UTC', 'MM-DD'), ms, slow)
               FROM test.event ORDER BY id";
    test.db.run(Repeat::Safe, |c| Box::pin(sqlx::query_scalar(sql).fetch_all(c))).await.unwrap()
}

/// Returns once so many sessions of the database wait for a lock of this kind.
async fn waiting(test: &TestDatabase, kind: &'static str, sessions: i64) {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = $1";
    let count = || test.db.run(Repeat::Safe, |c| Box::pin(sqlx::query_scalar::<_, i64>(sql).bind(kind).fetch_one(c)));
    let wait = async {
        while count().await.unwrap() < sessions {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("a session that waits");
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn days(texts: &[&str]) -> Vec<NaiveDate> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[rstest]
#[case(DAYS, &["event_20261129", "event_20261130", "event_20261201"])]
#[case(MONTHS, &["event_202611", "event_202612"])]
#[tokio::test]
async fn partitions_are_made_for_today_and_the_days_ahead(#[case] table_: PartitionedTable, #[case] names: &[&str]) {
    let test = table(&[TABLE]).await;
    let now = at("2026-11-29T23:30:00Z");
    assert_eq!(table_.make_ahead(&test.db, now).await.unwrap(), names);
    assert_eq!(table_.make_ahead(&test.db, now).await.unwrap(), Vec::<String>::new());
    let listed: Vec<_> =
        table_.list(&test.db).await.unwrap().into_iter().map(|first| table_.partition(first)).collect();
    assert_eq!(listed, names);
}

#[rstest]
#[case(DAYS, &["event_20260228", "event_20260301"])]
#[case(MONTHS, &["event_202602", "event_202603"])]
#[tokio::test]
async fn partitions_are_made_on_demand_where_they_are_missing(
    #[case] table_: PartitionedTable,
    #[case] names: &[&str],
) {
    let test = table(&[TABLE]).await;
    assert_eq!(table_.make(&test.db, days(&["2026-03-01"])).await.unwrap(), names[1..]);
    let both = days(&["2026-03-01", "2026-02-28", "2026-03-01"]);
    assert_eq!(table_.make(&test.db, both).await.unwrap(), names[..1]);
}

#[rstest]
#[case::days_by_time(DAYS, "timestamptz", "2026-11-30", ["2026-11-30 00:00Z", "2026-11-30 23:59:59.999999Z"], ["2026-11-29 23:59:59.999999Z", "2026-12-01 00:00Z"])]
#[case::days_by_date(DAYS, "date", "2026-11-30", ["2026-11-30", "2026-11-30"], ["2026-11-29", "2026-12-01"])]
#[case::months_by_time(MONTHS, "timestamptz", "2026-12-24", ["2026-12-01 00:00Z", "2026-12-31 23:59:59.999999Z"], ["2026-11-30 23:59:59.999999Z", "2027-01-01 00:00Z"])]
#[case::months_by_date(MONTHS, "date", "2026-12-24", ["2026-12-01", "2026-12-31"], ["2026-11-30", "2027-01-01"])]
#[tokio::test]
async fn a_partition_takes_what_lies_in_its_period_whatever_the_zone_of_the_session(
    #[case] table_: PartitionedTable,
    #[case] key: &str,
    #[case] day: &str,
    #[case] within: [&str; 2],
    #[case] beyond: [&str; 2],
) {
    let test = database().await;
    let mut connection = test.connect_options().connect().await.unwrap();
    let sql = format!(
        "ALTER ROLE CURRENT_USER IN DATABASE {} SET timezone = 'Asia/Tokyo'; SET timezone = 'Asia/Tokyo';
         CREATE SCHEMA test; CREATE TABLE test.event (at {key} NOT NULL) PARTITION BY RANGE (at)",
        test.connect_options().get_database().unwrap(),
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    table_.make(&test.db, days(&[day])).await.unwrap();
    let mut taken = Vec::new();
    for value in within.iter().chain(&beyond) {
        let insert = format!("INSERT INTO test.event VALUES ('{value}')");
        taken.push(sqlx::raw_sql(AssertSqlSafe(insert)).execute(&mut connection).await.is_ok());
    }
    assert_eq!(taken, [true, true, false, false]);
}

#[tokio::test]
async fn expired_partitions_are_dropped_and_the_others_keep_their_rows() {
    let test = table(&[TABLE]).await;
    DAYS.make(&test.db, days(&["2026-11-19", "2026-11-20", "2026-11-21"])).await.unwrap();
    execute(&test, "INSERT INTO test.event (at, ms) SELECT day, 5 FROM generate_series('2026-11-19 12:00Z'::timestamptz, '2026-11-21 12:00Z', '1 day') AS day").await;
    let expire = async |now| DAYS.drop_expired(&test.db, at(now)).await.unwrap();
    assert_eq!(expire("2026-11-21T23:59:59Z").await, Expired::default());
    let dropped = vec!["event_20261119".to_owned(), "event_20261120".to_owned()];
    assert_eq!(expire("2026-11-23T00:00:00Z").await, Expired { dropped, held: vec![] });
    assert_eq!(rows(&test).await, ["test.event_20261121 3 11-21 5 f"]);
}

#[tokio::test]
async fn nothing_is_dropped_without_a_retention() {
    let test = table(&[TABLE]).await;
    DAYS.make(&test.db, days(&["1999-11-19"])).await.unwrap();
    let for_good = PartitionedTable { retention: None, ..DAYS };
    assert_eq!(for_good.drop_expired(&test.db, at("2026-11-21T00:00:00Z")).await.unwrap(), Expired::default());
}

#[tokio::test]
async fn a_partition_that_a_reader_holds_is_dropped_the_next_time() {
    let test = table(&[TABLE]).await;
    DAYS.make(&test.db, days(&["2026-11-19"])).await.unwrap();
    let reader = transaction(&test, "SELECT count(*) FROM test.event").await;
    let expire = async || DAYS.drop_expired(&test.db, at("2026-11-23T00:00:00Z")).await.unwrap();
    let partition = vec!["event_20261119".to_owned()];
    assert_eq!(expire().await, Expired { dropped: vec![], held: partition.clone() });
    commit(reader).await;
    assert_eq!(expire().await, Expired { dropped: partition, held: vec![] });
}

#[tokio::test]
async fn tables_that_are_not_partitions_of_this_one_are_left_alone() {
    let test = table(&[
        TABLE,
        "CREATE TABLE test.event_20260101 (a integer);
         CREATE TABLE test.event_archive PARTITION OF test.event FOR VALUES FROM ('2026-01-02Z') TO ('2026-01-03Z');
         CREATE SCHEMA other;
         CREATE TABLE other.event_20260103 PARTITION OF test.event FOR VALUES FROM ('2026-01-03Z') TO ('2026-01-04Z');
         CREATE TABLE test.event_day (at timestamptz) PARTITION BY RANGE (at);
         CREATE TABLE test.event_20260104 PARTITION OF test.event_day FOR VALUES FROM ('2026-01-04Z') TO ('2026-01-05Z')",
    ])
    .await;
    DAYS.make(&test.db, days(&["2026-01-05"])).await.unwrap();
    let expired = DAYS.drop_expired(&test.db, at("2026-11-23T00:00:00Z")).await.unwrap();
    assert_eq!(expired, Expired { dropped: vec!["event_20260105".to_owned()], held: vec![] });
    let sql = "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relname LIKE 'event%'";
    let left = test.db.run(Repeat::Safe, |c| Box::pin(sqlx::query_scalar::<_, i64>(sql).fetch_one(c)));
    assert_eq!(left.await.unwrap(), 6);
}

#[tokio::test]
async fn rows_in_default_move_to_the_partition_of_their_day_when_it_is_made() {
    let test = table(&[TABLE, DEFAULT]).await;
    execute(
        &test,
        "INSERT INTO test.event (at, ms) VALUES ('2026-11-19 23:59:59.999999Z', 5), ('2026-11-20 00:00Z', 7),
         ('2026-11-20 23:59:59.999999Z', 70), ('2026-11-21 00:00Z', 8)",
    )
    .await;
    assert_eq!(DAYS.make(&test.db, days(&["2026-11-20"])).await.unwrap(), ["event_20261120"]);
    let moved = [
        "test.event_default 1 11-19 5 f",
        "test.event_20261120 2 11-20 7 f",
        "test.event_20261120 3 11-20 70 t",
        "test.event_default 4 11-21 8 f",
    ];
    assert_eq!(rows(&test).await, moved);
    execute(&test, "INSERT INTO test.event (at, ms) VALUES ('2026-11-20 12:00Z', 9)").await;
    assert_eq!(rows(&test).await.last().unwrap(), "test.event_20261120 5 11-20 9 f");
}

#[tokio::test]
async fn more_rows_than_readers_can_wait_for_stay_in_default() {
    let test = table(&[TABLE, DEFAULT]).await;
    let noon = at("2026-01-23T12:00:00Z");
    let fill = "INSERT INTO test.event (at, ms) SELECT '2026-01-23', 1 FROM generate_series(1, 50001)";
    execute(&test, fill).await;
    assert_eq!(DAYS.make_ahead(&test.db, noon).await, Ok(vec!["event_20260124".into(), "event_20260125".into()]));
    execute(&test, "DELETE FROM test.event WHERE id = 1").await;
    assert_eq!(DAYS.make_ahead(&test.db, noon).await, Ok(vec!["event_20260123".into()]));
    let moved = "SELECT count(*) FROM test.event_20260123";
    let moved: i64 = test.db.run(Repeat::Safe, |c| Box::pin(sqlx::query_scalar(moved).fetch_one(c))).await.unwrap();
    assert_eq!(moved, 50_000);
}

#[tokio::test]
async fn names_that_are_keywords_of_sql_are_quoted() {
    let test = table(&[r#"CREATE SCHEMA "user";
           CREATE TABLE "user"."order" ("end" timestamptz NOT NULL, "select" integer) PARTITION BY RANGE ("end");
           CREATE TABLE "user"."default" PARTITION OF "user"."order" DEFAULT;
           INSERT INTO "user"."order" VALUES ('2026-11-20 12:00Z', 5)"#])
    .await;
    let orders = PartitionedTable { name: TableName::new("user", "order"), ..DAYS };
    assert_eq!(orders.make(&test.db, days(&["2026-11-20"])).await.unwrap(), ["order_20261120"]);
    let sql = r#"SELECT "select" FROM "user".order_20261120"#;
    let moved = test.db.run(Repeat::Safe, |c| Box::pin(sqlx::query_scalar::<_, i32>(sql).fetch_one(c)));
    assert_eq!(moved.await.unwrap(), 5);
    let expired = orders.drop_expired(&test.db, at("2026-11-23T00:00:00Z")).await.unwrap();
    assert_eq!(expired.dropped, ["order_20261120"]);
}

#[tokio::test]
async fn default_outlives_the_partitions_that_expire() {
    let test = table(&[TABLE, DEFAULT]).await;
    DAYS.make(&test.db, days(&["2026-11-20"])).await.unwrap();
    execute(&test, "INSERT INTO test.event (at, ms) VALUES ('2026-11-20 12:00Z', 5), ('2026-11-21 12:00Z', 7)").await;
    let expired = DAYS.drop_expired(&test.db, at("2027-01-01T00:00:00Z")).await.unwrap();
    assert_eq!(expired.dropped, ["event_20261120"]);
    assert_eq!(rows(&test).await, ["test.event_default 2 11-21 7 f"]);
}

#[tokio::test]
async fn rows_stay_in_default_while_a_reader_holds_it() {
    let test = table(&[TABLE, DEFAULT]).await;
    execute(&test, "INSERT INTO test.event (at, ms) VALUES ('2026-11-20 12:00Z', 5)").await;
    let reader = transaction(&test, "SELECT count(*) FROM test.event").await;
    let refused = DAYS.make(&test.db, days(&["2026-11-20"])).await;
    assert!(matches!(refused, Err(PortError::Timeout(_))), "{refused:?}");
    assert_eq!(rows(&test).await, ["test.event_default 1 11-20 5 f"]);
    commit(reader).await;
    assert_eq!(DAYS.make(&test.db, days(&["2026-11-20"])).await.unwrap(), ["event_20261120"]);
    assert_eq!(rows(&test).await, ["test.event_20261120 1 11-20 5 f"]);
}

#[tokio::test]
async fn a_row_that_comes_while_its_partition_is_made_waits_and_goes_into_it() {
    let test = table(&[TABLE, DEFAULT]).await;
    let mut maker = transaction(&test, "SELECT 1").await;
    let made = DAYS.try_change(&mut maker, Change::Make, days(&["2026-11-20"])[0]).await.unwrap();
    assert_eq!(made, ChangeOutcome::Done);
    let insert = execute(&test, "INSERT INTO test.event (at, ms) VALUES ('2026-11-20 12:00Z', 5)");
    let release = async {
        waiting(&test, "relation", 1).await;
        commit(maker).await;
    };
    tokio::join!(insert, release);
    assert_eq!(rows(&test).await, ["test.event_20261120 1 11-20 5 f"]);
}

#[tokio::test]
async fn a_reader_that_comes_while_rows_are_moved_waits_and_finds_them_where_they_are_then() {
    let test = table(&[TABLE, DEFAULT]).await;
    execute(&test, "INSERT INTO test.event (at, ms) VALUES ('2026-11-20 12:00Z', 5)").await;
    let mut maker = transaction(&test, "SELECT 1").await;
    let made = DAYS.try_change(&mut maker, Change::Make, days(&["2026-11-20"])[0]).await.unwrap();
    assert_eq!(made, ChangeOutcome::Done);
    let release = async {
        waiting(&test, "relation", 1).await;
        commit(maker).await;
    };
    let (found, ()) = tokio::join!(rows(&test), release);
    assert_eq!(found, ["test.event_20261120 1 11-20 5 f"]);
}

#[tokio::test]
async fn of_two_servers_at_once_one_makes_a_partition_and_one_drops_it() {
    let test = table(&[TABLE]).await;
    let hold = async || {
        let mut holder = transaction(&test, "SELECT 1").await;
        DAYS.lock(&mut holder).await.unwrap();
        holder
    };
    let release = async |holder| {
        waiting(&test, "advisory", 2).await;
        commit(holder).await;
    };
    let holder = hold().await;
    let make = || DAYS.make(&test.db, days(&["2026-11-20"]));
    let (a, b, ()) = tokio::join!(make(), make(), release(holder));
    assert_eq!([a.unwrap(), b.unwrap()].concat(), ["event_20261120"]);
    let holder = hold().await;
    let expire = || DAYS.drop_expired(&test.db, at("2026-11-23T00:00:00Z"));
    let (a, b, ()) = tokio::join!(expire(), expire(), release(holder));
    let (a, b) = (a.unwrap(), b.unwrap());
    assert_eq!(
        ([a.dropped, b.dropped].concat(), [a.held, b.held].concat()),
        (vec!["event_20261120".to_owned()], vec![])
    );
}

#[tokio::test]
async fn a_table_that_is_not_there_is_a_schema_that_is_not_migrated() {
    let test = database().await;
    let failed = DAYS.make(&test.db, days(&["2026-11-20"])).await;
    assert!(matches!(&failed, Err(PortError::Unavailable(text)) if text.contains("not migrated")), "{failed:?}");
}

#[test]
fn a_partition_is_named_and_known_by_its_first_day() {
    let day = days(&["2026-11-21"])[0];
    assert_eq!(DAYS.partition(day), "event_20261121");
    assert_eq!(DAYS.first_day("event_20261121"), Some(day));
    assert_eq!(DAYS.first_day("events_20261121"), None);
    assert_eq!(DAYS.first_day("event_2026112"), None);
    assert_eq!(DAYS.first_day("event_default"), None);
    assert_eq!(MONTHS.partition(MONTHS.period.first_day(day)), "event_202611");
    assert_eq!(MONTHS.first_day("event_202611"), Some(days(&["2026-11-01"])[0]));
    assert_eq!(MONTHS.first_day("event_20261121"), None);
}

#[rstest]
#[case::a_day(DAYS, "2026-11-10", "2026-11-13T00:00:00Z")]
#[case::a_month(MONTHS, "2026-11-01", "2026-12-03T00:00:00Z")]
#[case::over_the_end_of_a_year(MONTHS, "2026-12-01", "2027-01-03T00:00:00Z")]
fn a_partition_expires_when_its_last_instant_does(
    #[case] table: PartitionedTable,
    #[case] first: &str,
    #[case] expires: &str,
) {
    let first = days(&[first])[0];
    assert!(!table.is_expired(first, at(expires) - TimeDelta::seconds(1)));
    assert!(table.is_expired(first, at(expires)));
}

#[rstest]
#[case::a_word("event", true)]
#[case::digits_and_underscores("_event_2", true)]
#[case::as_long_as_partitions_allow("e23456789_123456789_123456789_123456789_123456789_1234", true)]
#[case::too_long("e23456789_123456789_123456789_123456789_123456789_12345", false)]
#[case::empty("", false)]
#[case::a_digit_first("2_event", false)]
#[case::capitals("Event", false)]
#[case::a_quote("event\"", false)]
#[case::a_statement("event; DROP TABLE event", false)]
#[case::letters_beyond_ascii("évent", false)]
fn only_plain_names_that_leave_room_for_a_date_are_taken(#[case] name: &'static str, #[case] taken: bool) {
    assert_eq!(std::panic::catch_unwind(|| TableName::new("test", name)).is_ok(), taken);
}

/// A table that is append-only.
const REFUSED: &str = "
    CREATE FUNCTION test.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'append-only'; END $$;
    CREATE TRIGGER refused BEFORE UPDATE OR DELETE ON test.event FOR EACH ROW EXECUTE FUNCTION test.refuse()";

#[tokio::test]
async fn rows_are_moved_out_of_default_where_triggers_refuse_to_change_them() {
    let test = table(&[TABLE, DEFAULT, REFUSED]).await;
    execute(&test, "INSERT INTO test.event (at, ms) VALUES ('2026-11-29 12:00Z', 5), ('2026-11-30 12:00Z', 7)").await;
    DAYS.make(&test.db, days(&["2026-11-29"])).await.unwrap();
    assert_eq!(rows(&test).await, ["test.event_20261129 1 11-29 5 f", "test.event_default 2 11-30 7 f"]);
    for partition in ["DELETE FROM test.event_20261129", "DELETE FROM test.event_default"] {
        let refused = test.db.run(Repeat::Unsafe, |c| Box::pin(sqlx::raw_sql(partition).execute(c))).await;
        assert!(refused.is_err_and(|error| error.to_string().contains("append-only")), "{partition}");
    }
}
