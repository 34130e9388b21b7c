// The logs of a small world, made by the engine itself: journal and effects files, id book.
#pragma once

#include "tests/engine/rig.h"
#include "tests/ops/temp_dir.h"
#include "tools/explain/where.h"

#include <cstdint>
#include <string>

namespace millrace::explain_test {

/// Accounts a0 .. a7 in group grp, symbols EURUSD and GBPUSD, source src, and a clock that stands
/// still unless a test moves it: the same texts in every run.
class Logs {
public:
    Logs();
    /// A command that somebody at a terminal gave.
    template <class Body>
    void command(AdminOp op, const Body& body, const char* user = "alice") {
        AdminRecord r = AdminRecord::make(op, body);
        Actor who;
        who.uid = 1001;
        who.user = test::text<12>(user);
        who.host = test::text<16>("desk-1");
        set_actor(r, who);
        rig.input(InputType::Admin, r);
        rig.settle();
    }
    /// Writes what the rig has come through into files, whole, in place of what was there.
    /// @param first_record of the journal: what retention has left.
    void write(std::uint64_t first_record = 1);
    /// Writes a snapshot of the state as it is now. Mind that it stays.
    void snapshot();
    /// Where explain finds them.
    [[nodiscard]] explain::Where where() const;
    [[nodiscard]] const std::string& dir() const { return dir_.path(); }

    test::Rig rig;

private:
    void write_journal(std::uint64_t first_record) const;
    void write_effects() const;
    test::TempDir dir_;
};

/// `text` is what golden/NAME holds; with MILLRACE_GOLDEN_PRINT=1 it is written there instead.
void expect_golden(const std::string& name, const std::string& text);

/// The first place where `json` breaks definition `name` of explain.schema.json; empty = none.
[[nodiscard]] std::string schema_breach(const std::string& name, const std::string& json);

}  // namespace millrace::explain_test
