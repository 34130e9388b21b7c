// Goal: what `export` prints is Prometheus' format to the letter, and the numbers are the
// segment's. Method: a strict reader of our own (shown to refuse), and promtool where there is one.
#include <sys/wait.h>

#include <cstdio>

#include "tests/inspect/cli.h"
#include "tests/inspect/exposition.h"
#include "tests/inspect/fixture.h"

namespace millrace::inspect {
namespace {

class Export : public SegmentFixture {
protected:
    void fill() {
        play_stage(StageId::Engine, StageState::Running);
        segment_->session(AccountId{1}).login = 5001;
        for (int i = 1; i <= 1000; ++i) {
            segment_->hop(Hop::SignalToSocket).record(i * 1000);
        }
        segment_->report_error("broker", "a \"quoted\" \\ text\nof two lines \x01");
        segment_->core().orders_sent = 12'345'678'901;
        publish("orders", OrderSlot{}, 5);
    }
    static double value(const Exposition& e, const std::string& family, const std::string& label,
                        const std::string& wanted) {
        for (const Sample& s : e.families.at(family).samples) {
            const auto found = s.labels.find(label);
            if (found != s.labels.end() && found->second == wanted) {
                return s.value;
            }
        }
        ADD_FAILURE() << family << " has no " << label << "=" << wanted;
        return 0;
    }
};

TEST_F(Export, IsStrictlyWellFormedAndTellsTheNumbers) {
    fill();
    const Ran r = run_cli({"export", path_});
    ASSERT_EQ(r.status, 0) << r.err;
    const Exposition e = parse_exposition(r.out);
    EXPECT_EQ(e.fault, "");
    EXPECT_GT(e.families.size(), 40U);
    EXPECT_EQ(value(e, "millrace_ring_depth_records", "ring", "orders"), 5);
    EXPECT_EQ(value(e, "millrace_stage_up", "stage", "engine"), 1);
    EXPECT_EQ(value(e, "millrace_account_link_up", "login", "5001"), 0);
    EXPECT_EQ(value(e, "millrace_orders_sent_total", "segment", "millrace-test"), 12'345'678'901);
    EXPECT_EQ(value(e, "millrace_errors_total", "text", "a \"quoted\" \\ text\nof two lines ?"), 1);
    const Family& hops = e.families.at("millrace_hop_latency_seconds");
    EXPECT_EQ(hops.type, "histogram");
    for (const Sample& s : hops.samples) {
        if (s.name.ends_with("_count") && s.labels.at("hop") == "signal_to_socket") {
            EXPECT_EQ(s.value, 1000);
        }
        if (s.name.ends_with("_sum") && s.labels.at("hop") == "signal_to_socket") {
            EXPECT_NEAR(s.value, 0.5005, 0.001);
        }
    }
}

TEST_F(Export, SatisfiesPromtoolWhereThereIsOne) {
    if (std::system("command -v promtool >/dev/null 2>&1") != 0) {
        GTEST_SKIP() << "promtool (Debian: prometheus) is not installed";
    }
    fill();
    const Ran r = run_cli({"export", path_});
    FILE* tool = ::popen("promtool check metrics >/dev/null", "w");
    ASSERT_NE(tool, nullptr);
    std::fwrite(r.out.data(), 1, r.out.size(), tool);
    EXPECT_EQ(::pclose(tool), 0) << r.out;
}

TEST_F(Export, NeverLetsASumOfLatenciesFall) {
    double before = 0;
    for (int i = 0; i < 50; ++i) {
        segment_->hop(Hop::Gate).record(i < 1 ? 202 : 1);  // a mean that is rounded ever more
        const Exposition e = parse_exposition(run_cli({"export", path_}).out);
        for (const Sample& s : e.families.at("millrace_hop_latency_seconds").samples) {
            if (s.name.ends_with("_sum") && s.labels.at("hop") == "gate") {
                EXPECT_GT(s.value, before) << i;
                before = s.value;
            }
        }
    }
    EXPECT_NEAR(before, 251e-9, 1e-12);
}

TEST_F(Export, AddsUpErrorsThatLookTheSameOnceEscaped) {
    segment_->report_error("broker", "caf\xC3\xA9");
    segment_->report_error("broker", "caf\xC3\xA8");
    segment_->report_error("broker", "caf\xC3\xA8");
    const Exposition e = parse_exposition(run_cli({"export", path_}).out);
    EXPECT_EQ(e.fault, "");
    EXPECT_EQ(value(e, "millrace_errors_total", "text", "caf??"), 3);
}

TEST_F(Export, GivesNoDepthOfARingThatContradictsItself) {
    segment_->ring_control(segment_->find_ring("orders")).read_cursor = 3;
    const Exposition e = parse_exposition(run_cli({"export", path_}).out);
    EXPECT_EQ(value(e, "millrace_ring_fault", "ring", "orders"), 1);
    for (const char* name :
         {"millrace_ring_depth_records", "millrace_ring_written_records_total"}) {
        for (const Sample& s : e.families.at(name).samples) {
            EXPECT_NE(s.labels.at("ring"), "orders") << name;
        }
    }
    // No bound of a depth holds either, below or above.
    for (const char* bound : {"--depth-below", "--depth-above"}) {
        const Ran r = run_cli({"wait", path_, "--ring", "orders", bound, "0", "--timeout", "20ms"});
        EXPECT_EQ(r.status, 1) << r.out;
        EXPECT_NE(r.out.find("FAULT at read cursor 3"), std::string::npos) << r.out;
    }
    EXPECT_EQ(
        run_cli({"wait", path_, "--ring", "orders", "--depth-below", "10", "--timeout", "20ms"})
            .status,
        1);
}

TEST(Exposition, RefusesWhatBreaksARule) {
    const std::string head = "# HELP a_total x\n# TYPE a_total counter\n";
    EXPECT_EQ(parse_exposition(head + "a_total{b=\"c\"} 1\n").fault, "");
    for (const std::string& bad :
         {std::string{"a_total 1\n"}, head + "a_total 1", head + "a_total -1\n",
          head + "a_total{b=c} 1\n", head + "a_total{b=\"c\",b=\"d\"} 1\n",
          head + "a_total{1b=\"c\"} 1\n", head + "a_total x\n", head + "a_total 1\na_total 2\n",
          head + "b_total 1\n", head + head + "a_total 1\n", head + "a_total{b=\"\\x\"} 1\n",
          std::string{"# HELP a x\n# TYPE a counter\na 1\n"},
          std::string{"# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} "
                      "1\nh_sum 1\nh_count 1\n"},
          std::string{"# HELP h x\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\n"
                      "h_count 1\n"}}) {
        EXPECT_NE(parse_exposition(bad).fault, "") << bad;
    }
}

}  // namespace
}  // namespace millrace::inspect
