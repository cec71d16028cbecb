//! Real profiles, judged as a person who read their stacks would.

use rstest::rstest;

use super::*;
use crate::bor::triage::{Block, JudgedBlock};
use crate::kernel::testing::shared;

fn judged(file: &str) -> Option<(TriageBody, JudgedBlock)> {
    let body = judge(&Rules::builtin(), &shared(&format!("profiles/{file}"))?, None, None, 10, None).unwrap();
    let Block::Judged(block) = body.profiles.0.first().unwrap().1.clone() else { panic!("judged") };
    Some((body, *block))
}

const KAFKA_CPU: &str = "java-kafka-cpu.expected.process_cpu.pb.gz";
const KAFKA_CPU_2: &str = "java-kafka-cpu-lock-alloc.expected.process_cpu_cpu_nanoseconds_cpu_nanoseconds.pb.gz";
const KAFKA_ALLOC: &str = "java-kafka-cpu-lock-alloc.expected.memory_alloc_in_new_tlab_bytes_bytes_space_bytes.pb.gz";

/// Temporary files in a loop; a broker whose metrics exporter matches every bean; a broker that inflates what it reads;
/// a Go program that reads its tree of profiles.
#[rstest]
#[case("java-cpu.pb.gz", "disk_io", "high", "com/example/Something.funcBaz")]
#[case("java-kafka-cpu.jfr.gz", "regex", "medium", "io/prometheus/jmx/JmxCollector$Receiver.recordBean")]
#[case(KAFKA_CPU, "regex", "medium", "io/prometheus/jmx/JmxCollector$Receiver.recordBean")]
#[case(KAFKA_CPU_2, "regex", "medium", "io/prometheus/jmx/JmxCollector$Receiver.recordBean")]
#[case(
    KAFKA_ALLOC,
    "compression",
    "medium",
    "kafka/log/LogValidator$.$anonfun$validateMessagesAndAssignOffsetsCompressed$1"
)]
#[case(
    "go-heap.pb.gz",
    "deserialization_overhead",
    "medium",
    "github.com/pyroscope-io/pyroscope/pkg/server.ingestHandler.ServeHTTP"
)]
fn diagnoses_and_names_the_responsible_frame(
    #[case] file: &str,
    #[case] diagnosis: &str,
    #[case] severity: &str,
    #[case] responsible: &str,
) {
    let Some((body, block)) = judged(file) else { return };
    assert_eq!((block.diagnosis.as_str(), block.severity.as_str(), block.confirmed), (diagnosis, severity, true));
    assert_eq!(block.findings[0].responsible[0].function, responsible);
    assert!(block.recommendation.contains(responsible), "{}", block.recommendation);
    assert_eq!(body.summary.verdict, crate::verdict::Verdict::Problem);
}

#[rstest]
#[case("go-cpu-exemplars.pb.gz", "main.work")]
#[case("python-pyspy.pb.gz", "work")]
#[case("dotnet-3.pb.gz", "WebApplication1.Controllers!CpuController.fib")]
fn names_the_function_that_is_the_program(#[case] file: &str, #[case] function: &str) {
    let Some((body, block)) = judged(file) else { return };
    assert_eq!((block.diagnosis.as_str(), block.severity.as_str()), ("cpu_bound", "low"));
    assert_eq!(block.top_functions[0].name, function);
    assert_eq!(body.profiles.0.len(), 1);
    assert_eq!(body.summary.verdict, crate::verdict::Verdict::OwnCode);
}

#[test]
fn an_app_of_which_half_a_second_was_seen_in_half_a_minute_is_quiet() {
    let Some((body, block)) = judged("go-cpu.pb.gz") else { return };
    assert_eq!((block.sample_count, block.severity.as_str(), block.confirmed), (Some(50), "low", false));
    assert_eq!((body.summary.verdict, block.cores), (crate::verdict::Verdict::Quiet, Some(0.0167)));
}

/// Every share is of the same ticks, and no tick is claimed twice.
#[rstest]
#[case("java-cpu.pb.gz")]
#[case("go-cpu.pb.gz")]
#[case(KAFKA_CPU)]
#[case(KAFKA_ALLOC)]
#[case("node-wall.pb.gz")]
fn claims_no_tick_twice(#[case] file: &str) {
    let Some((_, block)) = judged(file) else { return };
    let claimed: f64 = block.findings.iter().map(|f| f.percent).sum();
    assert!(claimed <= 100.05, "{claimed}");
    assert!(block.findings.iter().all(|f| f.inclusive_percent + 0.01 >= f.percent));
}
