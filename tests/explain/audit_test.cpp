// Goal: who gave which command, when, and whether the engine took it, is in the journal and is
// told. Method: commands that are signed as the command line signs them, some of them refused.
#include "tools/explain/audit.h"
#include "tests/explain/logs.h"
#include "tools/millrace/actor.h"

#include <gtest/gtest.h>

#include <unistd.h>

namespace millrace::explain_test {
namespace {

std::string audited(const Logs& logs, const explain::AuditOptions& options = {}) {
    std::string text;
    const auto read = explain::audit(logs.where(), options, [&](const explain::AuditEntry& e) {
        text += explain::audit_text(e);
        EXPECT_EQ(schema_breach("audit", explain::audit_json(e)), "");
    });
    EXPECT_EQ(read.fault, "");
    return text;
}

TEST(Audit, TellsWhoGaveEachCommandAndWhatTheEngineSaidToIt) {
    Logs logs;
    logs.rig.signal(logs.rig.open(1));
    logs.command(AdminOp::SetAccount, AccountCommand{AccountId{3}, AccountState::Inactive, {}});
    logs.rig.now = logs.rig.now + seconds(60);
    KillCommand kill;
    kill.actions = kKillStop | kKillFlatten;
    logs.command(AdminOp::Kill, kill, "bob");
    logs.command(AdminOp::ClearKill, kill, "bob");
    ResolveCommand resolve;
    resolve.magic = logs.rig.take_orders().front().magic;
    resolve.status = OrdStatus::Rejected;
    logs.command(AdminOp::Resolve, resolve);                                // its answer is overdue
    logs.command(AdminOp::RemoveAccount, AccountRemoval{AccountId{2}, 0});  // refused
    logs.write();
    expect_golden("audit.txt", audited(logs));
    explain::AuditOptions late;
    late.since = logs.rig.now;
    EXPECT_EQ(audited(logs, late).find("INACTIVE"), std::string::npos);
    explain::AuditOptions all;
    all.definitions = true;
    EXPECT_NE(audited(logs, all).find("define symbol GBPUSD"), std::string::npos);
}

TEST(Audit, SignsWithTheUserAndTheHostOfThisProcess) {
    const Actor who = this_actor(true);
    EXPECT_TRUE(who.known());
    EXPECT_EQ(who.uid, ::getuid());
    char host[256] = {};
    ASSERT_EQ(::gethostname(host, sizeof host - 1), 0);
    EXPECT_TRUE(who.host == test::text<16>(host));
}

}  // namespace
}  // namespace millrace::explain_test
