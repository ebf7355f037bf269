// Opcodes of Python's pickle protocol up to 2 (and the few of 3 and 4 that only frame data), by the
// names of Python's pickletools. Source: CPython Lib/pickle.py.
#pragma once

namespace lctl::checkpoint::opcode {

inline constexpr char kMark = '(';
inline constexpr char kStop = '.';
inline constexpr char kPop = '0';
inline constexpr char kPopMark = '1';
inline constexpr char kBinFloat = 'G';
inline constexpr char kBinInt = 'J';
inline constexpr char kBinInt1 = 'K';
inline constexpr char kBinInt2 = 'M';
inline constexpr char kLong1 = '\x8a';
inline constexpr char kNone = 'N';
inline constexpr char kNewTrue = '\x88';
inline constexpr char kNewFalse = '\x89';
inline constexpr char kReduce = 'R';
inline constexpr char kBuild = 'b';
inline constexpr char kBinPersId = 'Q';
inline constexpr char kGlobal = 'c';
inline constexpr char kBinUnicode = 'X';
inline constexpr char kEmptyDict = '}';
inline constexpr char kEmptyList = ']';
inline constexpr char kEmptyTuple = ')';
inline constexpr char kAppend = 'a';
inline constexpr char kAppends = 'e';
inline constexpr char kSetItem = 's';
inline constexpr char kSetItems = 'u';
inline constexpr char kTuple = 't';
inline constexpr char kTuple1 = '\x85';
inline constexpr char kTuple2 = '\x86';
inline constexpr char kTuple3 = '\x87';
inline constexpr char kBinPut = 'q';
inline constexpr char kLongBinPut = 'r';
inline constexpr char kBinGet = 'h';
inline constexpr char kLongBinGet = 'j';
inline constexpr char kProto = '\x80';
inline constexpr char kNewObj = '\x81';

}  // namespace lctl::checkpoint::opcode
