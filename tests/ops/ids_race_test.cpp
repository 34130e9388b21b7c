// Goal: commands that run at once never give two names one id. Method: processes that read and
// write one book of ids, let go together.
#include <gtest/gtest.h>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <set>

#include "tests/ops/temp_dir.h"
#include "tools/millrace/config.h"
#include "tools/millrace/id_book.h"
#include "tools/millrace/startup.h"

namespace millrace {
namespace {

using test::TempDir;

constexpr int kCommands = 8;
constexpr int kRounds = 6;  // 48 accounts; 64 is the default most

/// The command line of one operator: knows its own account only.
int add_account(const TempDir& dir, const std::string& name) {
    std::vector<Mistake> mistakes;
    const Config config = read_config(
        dir.write(name + ".json", R"({"journal": {"dir": "j"}, "accounts": [{"name": ")" + name +
                                      R"(", "login": )" + std::to_string(name.size()) +
                                      R"(, "key": "00112233445566778899aabbccddeeff"}]})"),
        mistakes);
    std::string message;
    IdBook ids;
    return mistakes.empty() && prepare_records(config, ids, message).ok() ? 0 : 1;
}

TEST(Ids, AreDistinctWhenCommandsRunAtOnce) {
    const TempDir dir;
    std::filesystem::create_directories(dir / "j");
    std::size_t names = 0;
    for (int round = 0; round < kRounds; ++round) {
        int gate[2];
        ASSERT_EQ(::pipe(gate), 0);
        pid_t children[kCommands];
        for (int i = 0; i < kCommands; ++i) {
            const std::string name = "a" + std::to_string(names++);
            children[i] = ::fork();
            if (children[i] == 0) {
                ::setsid();
                ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
                ::close(gate[1]);
                char go = 0;
                (void)!::read(gate[0], &go, 1);  // the end of the pipe: all start together
                ::_exit(add_account(dir, name));
            }
        }
        ::close(gate[0]);
        ::close(gate[1]);
        for (const pid_t child : children) {
            int status = -1;
            ASSERT_EQ(::waitpid(child, &status, 0), child);
            EXPECT_EQ(status, 0);
        }
    }
    std::string message;
    const auto book = IdBook::load(dir / "j", message);
    ASSERT_TRUE(book.ok()) << message;
    std::set<std::uint32_t> ids;
    for (const auto& [name, id] : book.value().names(NameKind::Account)) {
        EXPECT_TRUE(ids.insert(id).second) << name << " shares id " << id;
    }
    EXPECT_EQ(ids.size(), names) << "a command's account was lost";
}

}  // namespace
}  // namespace millrace
