// Names only; see ../README.md.
#pragma once
