// Goal: a file that says nothing stands for the only pipeline of the host in a kill, and for
// nothing else. Method: a folder with none, one and two segments in it.
#include "tools/millrace/locate.h"

#include <gtest/gtest.h>

#include "tests/ops/temp_dir.h"

namespace millrace {
namespace {

TEST(Locate, AFileThatSaysNothingStandsForTheOnlyPipelineInAKillAlone) {
    const test::TempDir dir;
    const Target target{dir.write("notes.txt", "half a fi"), ""};
    const auto located = [&](Doubt doubt) {
        std::string message;
        const auto path = locate_segment(target, message, doubt, dir / "shm");
        return path ? path.value() : "";
    };
    dir.write("shm/of-another-program", "");
    EXPECT_EQ(located(Doubt::TakeTheOnlyOne), "") << "there is none";
    const std::string only = dir.write("shm/millrace-production", "");
    EXPECT_EQ(located(Doubt::TakeTheOnlyOne), only);
    EXPECT_EQ(located(Doubt::Refuse), "");
    dir.write("shm/millrace-staging", "");
    EXPECT_EQ(located(Doubt::TakeTheOnlyOne), "") << "which of the two nobody can say";
}

TEST(Locate, WhatAStartPutAsideIsNobodysPipeline) {
    const test::TempDir dir;
    const std::string only = dir.write("shm/millrace-production", "");
    dir.write("shm/millrace-production.unusable", "");
    std::string message;
    const auto path = locate_segment({}, message, Doubt::Refuse, dir / "shm");
    ASSERT_TRUE(path) << message;
    EXPECT_EQ(path.value(), only);
}

TEST(Locate, APathWhereNoFileIsStandsForNothing) {
    const test::TempDir dir;
    dir.write("shm/millrace-production", "");
    std::string message;
    EXPECT_FALSE(
        locate_segment({dir / "misspelt", ""}, message, Doubt::TakeTheOnlyOne, dir / "shm"));
}

}  // namespace
}  // namespace millrace
