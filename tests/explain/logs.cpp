#include "tests/explain/logs.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "persist/effects_log.h"
#include "persist/journal_writer.h"
#include "persist/pwrite_disk.h"
#include "persist/snapshot_file.h"
#include "tests/inspect/schema_check.h"

namespace millrace::explain_test {
namespace {

constexpr std::uint64_t kFileBytes = 1U << 20;

std::string read_file(const std::string& path) {
    std::stringstream text;
    text << std::ifstream{path, std::ios::binary}.rdbuf();
    return text.str();
}

}  // namespace

Logs::Logs() {
    rig.world(8);
}

void Logs::write(std::uint64_t first_record) {
    IdBook ids;
    for (const char* name : {"EURUSD", "GBPUSD"}) {
        ids.assign(NameKind::Symbol, name);
    }
    ids.assign(NameKind::Group, "grp");
    ids.assign(NameKind::Source, "src");
    for (char n = '0'; n < '8'; ++n) {
        ids.assign(NameKind::Account, std::string{"a"} + n);
    }
    std::string message;
    ASSERT_TRUE(ids.save(dir(), message)) << message;
    for (const auto& entry : std::filesystem::directory_iterator{dir()}) {
        const std::string suffix = entry.path().extension();
        if (suffix == ".mrj" || suffix == ".mre") {
            std::filesystem::remove(entry.path());
        }
    }
    write_journal(first_record);
    write_effects();
}

void Logs::write_journal(std::uint64_t first_record) const {
    auto disk = open_pwrite_disk(dir(), false);
    ASSERT_TRUE(disk.ok());
    JournalWriter writer{*disk.value()};
    ASSERT_TRUE(writer.open({1, first_record, kChainSeed, kFileBytes, kFileBytes}).ok());
    for (const JournalRecord& r : rig.log) {
        if (r.seq.value < first_record) {
            continue;
        }
        while (!writer.append(r, r.seq.value)) {
            ASSERT_FALSE(writer.poisoned()) << writer.error().what;
            writer.submit();
            writer.pump(rig.now);
        }
    }
    writer.submit();
    while (writer.acked().seq < rig.log.back().seq.value) {
        ASSERT_FALSE(writer.poisoned()) << writer.error().what;
        writer.pump(rig.now);
    }
}

void Logs::write_effects() const {
    std::string message;
    auto writer = EffectsWriter::open(dir(), {}, message);
    ASSERT_TRUE(writer.ok()) << message;
    std::uint64_t at = 0;
    for (const Effect& e : rig.effects) {
        if (at != 0 && e.seq.value != at) {
            ASSERT_TRUE(writer.value().end_of_record({1, Sequence{at}, at}).ok());
        }
        at = e.seq.value;
        ASSERT_TRUE(writer.value().append(e).ok());
    }
    ASSERT_TRUE(writer.value().end_of_record({1, Sequence{at}, at}).ok());
    ASSERT_TRUE(writer.value().flush().ok());
}

void Logs::snapshot() {
    std::vector<std::byte> image;
    rig.engine.save(image);
    std::string message;
    ASSERT_TRUE(write_snapshot(dir(), {1, rig.engine.seq(), 0}, image, message)) << message;
}

explain::Where Logs::where() const {
    explain::WhereOptions options;
    options.dir = dir();
    std::string message;
    auto found = explain::find_where(options, message);
    EXPECT_TRUE(found) << message;
    found->notices.clear();  // that there is no configuration: the journal says it all
    found->capacity = test::Rig::kSmall;
    return std::move(*found);
}

void expect_golden(const std::string& name, const std::string& text) {
    const std::string path = std::string{MILLRACE_EXPLAIN_GOLDEN} + "/" + name;
    if (std::getenv("MILLRACE_GOLDEN_PRINT") != nullptr) {
        std::ofstream{path, std::ios::binary} << text;
        return;
    }
    EXPECT_EQ(text, read_file(path)) << path << "; MILLRACE_GOLDEN_PRINT=1 writes it anew";
}

std::string schema_breach(const std::string& name, const std::string& json) {
    const auto schema = nlohmann::json::parse(read_file(MILLRACE_EXPLAIN_SCHEMA));
    const auto value = nlohmann::json::parse(json, nullptr, false);
    return value.is_discarded() ? "is no JSON"
                                : inspect::first_breach(schema.at("$defs").at(name), value);
}

}  // namespace millrace::explain_test
