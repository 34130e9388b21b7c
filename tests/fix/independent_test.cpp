// Goal: against a venue whose engine somebody else wrote, each order is sent once and its end told
// as it was, with the connection cut and the venue killed. Method: the executor's process between a
// scripted broker stage and jspurefix; the venue's own list of orders is the oracle.
#include "tests/fix/desk.h"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>

namespace millrace::fix::test {
namespace {

/// The folder that holds node_modules/jspurefix; empty if there is none.
std::string folder_of_jspurefix() {
    const char* named = std::getenv("JSPF_DIR");
    const char* home = std::getenv("HOME");
    const std::string folders[] = {named == nullptr ? "" : named,
                                   std::string{home == nullptr ? "" : home} + "/.cache/jspurefix"};
    for (const std::string& folder : folders) {
        if (std::filesystem::exists(folder + "/node_modules/jspurefix")) {
            return folder;
        }
    }
    return "";
}

bridge::Command order_of(const char* symbol, std::uint64_t intent) {
    bridge::Command command = open_command(intent);
    std::memset(command.symbol, 0, sizeof command.symbol);
    std::memcpy(command.symbol, symbol, std::strlen(symbol));
    return command;
}

class FixIndependent : public FixExecutor {
protected:
    void SetUp() override {
        const std::string modules = folder_of_jspurefix();
        if (modules.empty()) {
            GTEST_SKIP() << "jspurefix is not here (node 20 and 150 MB); to have it: npm install "
                            "--prefix ~/.cache/jspurefix jspurefix@5.11.4";
        }
        ::setenv("JSPF_DIR", modules.c_str(), 1);
        std::filesystem::create_directory(books / "store");
        symbols = R"({"name": "EURUSD"}, {"name": "REJECT"}, {"name": "PARTIAL"},
                     {"name": "SILENT"}, {"name": "DROP"})";
        other_port = port.number();
        start_independent();
        start_executor();
        open_session();
        wait_for_logons(1);
    }
    void start_independent() {
        node.start({"node", MILLRACE_FIX_INDEPENDENT, std::to_string(port.number()), books / ""},
                   books / "log");
        std::string said = node.line();  // its engine has words of its own before
        while (!said.empty() && said != "listening") {
            said = node.line();
        }
        ASSERT_EQ(said, "listening");
    }
    [[nodiscard]] std::vector<nlohmann::json> taken(const std::string& type) const {
        std::vector<nlohmann::json> found;
        std::ifstream in{books / "orders.jsonl"};
        for (std::string line; std::getline(in, line);) {
            const auto message = nlohmann::json::parse(line, nullptr, false);
            if (message.is_object() && message.value("type", "") == type) {
                found.push_back(message);
            }
        }
        return found;
    }
    void wait_for_logons(std::size_t count) {
        ASSERT_TRUE(eventually([&] { return taken("logon").size() >= count; })) << text("log");
    }
    /// What is refused as long as the executor does not know of the logon is sent again, anew.
    Event answer_to_order(const char* symbol) {
        for (;;) {
            const auto command = order_of(symbol, ++intents);
            const Event event = answer_to(command);
            if (event.retcode != kLoggedOff || HasFailure()) {
                last_id = id_of(command);
                last_magic = command.magic;
                return event;
            }
        }
    }
    void expect_each_sent_once() {
        std::map<std::string, int> times;
        for (const auto& order : taken("D")) {
            ++times[order.value("id", "")];
        }
        for (const auto& [id, count] : times) {
            EXPECT_EQ(count, 1) << id;
        }
        EXPECT_FALSE(times.empty());
    }

    Folder books;
    Child node;
    millrace::test::QuietPort port;
    std::uint64_t intents = 0;
    std::string last_id;
    std::uint64_t last_magic = 0;
};

TEST_F(FixIndependent, TellsFillsRefusalsAndPartsAsTheVenueHasThem) {
    const Event filled = answer_to_order("EURUSD");
    EXPECT_TRUE(is(filled, ReportType::Outcome));
    EXPECT_EQ(filled.ord_status, static_cast<std::uint8_t>(OrdStatus::Filled));
    EXPECT_EQ(filled.volume, kScale / 10);
    const Event refused = answer_to_order("REJECT");
    EXPECT_EQ(refused.ord_status, static_cast<std::uint8_t>(OrdStatus::Rejected));
    EXPECT_EQ(refused.volume, 0);
    const Event parts = answer_to_order("PARTIAL");
    EXPECT_EQ(parts.ord_status, static_cast<std::uint8_t>(OrdStatus::Filled));
    EXPECT_EQ(parts.volume, kScale / 10);
    expect_each_sent_once();
}

TEST_F(FixIndependent, NeverSendsAgainWhatItTookAndSaidNothingAbout) {
    const Event cut = answer_to_order("DROP");
    EXPECT_EQ(cut.retcode, retcode::kConnection) << "in doubt";
    const std::uint64_t doubted = last_magic;
    wait_for_logons(2);
    ASSERT_TRUE(eventually([&] { return taken("H").size() >= 4; })) << "asked for, in vain";
    send(query_command(doubted));
    EXPECT_TRUE(is(next(doubted, true), ReportType::QueryUnknown));

    node.kill9();
    start_independent();
    wait_for_logons(3);
    EXPECT_EQ(answer_to_order("EURUSD").ord_status, static_cast<std::uint8_t>(OrdStatus::Filled))
        << "its numbers and ours agree again";
    expect_each_sent_once();
}

}  // namespace
}  // namespace millrace::fix::test
